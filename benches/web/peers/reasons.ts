// What several peers cannot do, in the same words.

export const noHistory = {
  'get-old': 'keeps no history',
  'range-old': 'keeps no history',
  history: 'keeps no history',
}

export const noSnapshot = { snapshot: 'has none' }

/** For those in which a work has no method, and the reason is that one. */
export const noWatch = { watchers: 'tells nobody of changes', latency: 'tells nobody of changes' }
