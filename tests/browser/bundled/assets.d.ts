// What a bundler makes of an import of the engine: its address.
declare module '*.wasm' {
  const address: string
  export default address
}

declare module '*.wasm?url' {
  const address: string
  export default address
}
