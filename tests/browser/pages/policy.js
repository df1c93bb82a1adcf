import { open } from '/revkv/index.js'

const output = document.querySelector('output')
try {
  const store = await open()
  output.textContent = 'opened'
  await store.close()
} catch (error) {
  output.textContent = error.code ? `${error.code}: ${error.message}` : String(error)
}
