// What empty.html puts in reach of the code that a test runs in it.
import type * as revkvModule from 'revkv'
import type * as conformanceModule from 'revkv/conformance'
import type { indexedDb as indexedDbAdapter } from 'revkv/storage/indexeddb'
import type { memory as memoryAdapter } from 'revkv/storage/memory'
import type { opfs as opfsAdapter } from 'revkv/storage/opfs'
import type * as tabsModule from 'revkv/tabs'
import type * as quickstartModule from '../../../www/quickstart.js'

declare global {
  var revkv: typeof revkvModule
  var indexedDb: typeof indexedDbAdapter
  var memory: typeof memoryAdapter
  var opfs: typeof opfsAdapter
  var conformance: typeof conformanceModule
  var tabs: typeof tabsModule
  var quickstart: typeof quickstartModule
  /** Where a test keeps an open store from one `evaluate` to the next. */
  var store: revkvModule.Store<string>
}
