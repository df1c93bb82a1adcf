// What the quickstart says on a fresh database, line by line, and the revision that its first visit has seen last.
export const firstVisitSeen = 4

export const firstVisitLines = [
  'opened at revision 1',
  'flag/theme is dark',
  'at revision 2 it was light',
  'flag/beta created: true, revision 4',
  'watch: 2 put flag/theme = light',
  'watch: 3 put flag/theme = dark',
  'watch: 4 put flag/beta = on',
]

export const secondVisitLines = [
  'opened again at revision 6',
  'history: 2 flag/theme = light',
  'history: 3 flag/theme = dark',
  'history: 5 flag/theme = sepia',
  'watch: 5 put flag/theme = sepia',
  'watch: 6 delete flag/beta',
  'watch: 7 put flag/beta = off',
]
