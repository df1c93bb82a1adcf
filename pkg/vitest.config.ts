import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A promise that nobody settles should say so soon.
    testTimeout: 10_000,
  },
})
