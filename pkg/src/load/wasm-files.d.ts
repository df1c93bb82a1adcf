// The two .wasm imports of this room. The build leaves the first kind as it is, for the platform or its bundler to answer
// with a compiled module, and puts the second into the JavaScript.

declare module '*/revkv.wasm' {
  const engine: WebAssembly.Module
  export default engine
}

declare module '*/revkv.wasm?module' {
  const engine: WebAssembly.Module
  export default engine
}

declare module '*/revkv_bg.wasm' {
  const base64: string
  export default base64
}
