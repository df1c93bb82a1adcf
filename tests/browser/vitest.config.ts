import { defineConfig } from 'vitest/config'

export default defineConfig({
  root: import.meta.dirname,
  test: {
    // Those of etcd need one, and are part of a step of their own.
    include: process.env.ETCD_SECONDS === undefined ? ['*.test.ts', 'tabs/*.test.ts'] : ['etcd/*.test.ts'],
    // Each file has a Chromium of its own; two at a time would only wait for each other.
    fileParallelism: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
  },
})
