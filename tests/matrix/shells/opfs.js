// A page whose store is a worker's, in the origin private file system; in this form bundlers know that it is a worker.

const worker = new Worker(new URL('./opfs-worker.js', import.meta.url), { type: 'module' })

worker.onmessage = ({ data: { line, title } }) => {
  if (line) document.querySelector('output').textContent += `${line}\n`
  if (title) document.title = title
}
