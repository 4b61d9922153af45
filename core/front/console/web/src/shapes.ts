/** The node's answers: apps, grants, runs, triggers and the audit log. */
export interface AppStatus {
  name: string
  title: string
  /** Who made it, in few words. */
  author: string
  version: string
  state: string
  error: string
  provides: string[]
  web: boolean
  process: string
  reason: string
  restarts: number
  seconds: number
  sandbox?: string
  step?: string
  description?: string
}

export interface Grant {
  id: string
  verb: 'read' | 'write' | 'extend' | 'call' | 'network'
  target: string
  fields: string[]
  optional: boolean
  reason: string
  text: string
  state: 'pending' | 'approved' | 'rejected'
  new?: boolean
}

export interface Signer {
  kind: string
  key: string
  name: string
}

/** `text`: follows "the app": "comes with PCloud", "is signed with …", "is not signed". */
export interface Author {
  bundled: boolean
  signer: Signer | null
  text: string
  short: string
}

export interface Review {
  archive: string
  kind: 'install' | 'upgrade' | 'same'
  name: string
  version: string
  from_version?: string
  title: string
  description: string
  author: Author
  /** The other author whose app's data and grants it would take over; `left`: that app, if it was removed. */
  takes_from: Author | null
  left: { version: string; at: string } | null
  sandbox: string
  unconfined: boolean
  warnings: string[]
  grants: Grant[]
  notes: string[]
  resources: string[]
  missing: string[]
  /** Bundled apps that provide what is missing. */
  needed: string[]
  changes: string[]
}

/** An app that comes with PCloud. */
export interface Bundled {
  name: string
  title: string
  version: string
  description: string
}

export interface Step {
  step: string
  detail: string
}

export interface HistoryStep {
  time: string
  actor: string
  step?: string | null
  state?: string | null
  version?: string | null
  error?: string | null
}

/** `events`: number of events that the newest replay passes, the same to its end; `remaining`: those left. `done`, `failed`: its runs. */
export interface Trigger {
  trigger: string
  type: string
  action: string
  state: 'RESETTING' | 'RUNNING' | 'PAUSED' | 'DONE' | 'CANCELLED'
  generation: number
  events: number
  remaining: number
  done: number
  failed: number
  only: string | null
  problem: string
}

/** Bytes, processes and threads at once, files open at once; 0 of disk, graph or files means no limit. */
export type Limits = Record<'memory' | 'processes' | 'disk' | 'graph' | 'files', number>

export interface AppDetail extends AppStatus {
  grants: Grant[]
  limits: Limits
  /** The manifest's limits. */
  limits_asked: Limits
  /** What it uses of its limits, as far as that is counted. */
  used: { graph: number }
  history: HistoryStep[]
  previous: { version: string; lost?: string[] } | null
  signer?: Signer | null
}

export interface Cause {
  kind: string
  actor: string
  through: string
  time: number | null
  what: string
  id: string
}

export interface Run {
  id: string
  app: string
  action: string
  state: RunState
  kind: string
  trigger: string
  entity: string
  sequence: number
  generation: number
  attempt: number
  attempts: number
  args: Record<string, unknown>
  actor: string
  through: string
  cause: string
  depth: number
  error: { code: string; message: string; traceback?: string } | null
  created: number
  started: number | null
  ended: number | null
  next_attempt: number | null
  chain?: Cause[]
  _cursor?: string
}

/** What waits and has no run yet: durable calls, and objects of which the storage has not told their app. Null: it can't be counted now. */
export interface Waiting {
  calls: number | null
  objects: number | null
}

export type RunState = 'NEW' | 'IN_PROGRESS' | 'DONE' | 'FAILED'

export interface AuditRecord {
  kind: string
  time: number
  actor: string
  through: string
  target: string
  action?: string
  what?: string
  outcome: string
  seconds: number
  count?: number
  _cursor?: string
}

/** What the owner should know. `about`: `node`, `app:NAME` or `device:ID`; times in seconds since 1970, 0 if it has not ended or was not dismissed. */
export interface Notice {
  id: string
  kind: string
  about: string
  text: string
  advice: string
  severity: 'problem' | 'warning' | 'info'
  since: number
  ended: number
  dismissed: number
}

/** A browser that is signed in; times in seconds since 1970. `current`: this one. */
export interface SignedIn {
  id: string
  browser: string
  device: string
  created: number
  seen: number
  expires: number
  current: boolean
}
