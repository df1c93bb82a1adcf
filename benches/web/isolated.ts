// How pages of benchmarks are served: cross-origin isolated, for the better clock.

export const isolated = {
  dev: true,
  setHeaders: (response: { setHeader(name: string, value: string): void }) => {
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin')
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp')
  },
}
