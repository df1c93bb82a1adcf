export { open } from './entry/browser.js'
export * from './surface.js'
