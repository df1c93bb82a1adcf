import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Those need a real etcd, and are a step of their own, which says how long they are to last.
    exclude: process.env.ETCD_SECONDS === undefined ? ['test/etcd/**', '**/node_modules/**'] : ['**/node_modules/**'],
    // A promise that nobody settles should say so soon.
    testTimeout: 10_000,
  },
})
