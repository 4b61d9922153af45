/** Words for states, times, amounts and names. */
import type { AppStatus, AuditRecord, Notice, Run, RunState, Waiting } from './shapes.ts'

export type Tone = 'good' | 'warn' | 'bad' | 'busy' | 'still'

const APP_STATES: Record<string, [string, Tone]> = {
  INSTALLING: ['Installing', 'busy'], UPGRADING: ['Upgrading', 'busy'], RUNNING: ['Running', 'good'], PAUSED: ['Paused', 'warn'],
  FAILED: ['Failed', 'bad'], REMOVING: ['Being removed', 'busy'],
}
const PROCESSES: Record<string, [string, Tone]> = {
  starting: ['Starting', 'busy'], degraded: ['Works in part', 'warn'], 'not-ready': ['Not ready', 'warn'], 'backing-off': ['Restarting', 'warn'], stopped: ['Stopped', 'warn'], failed: ['Not running', 'bad'],
}
const RUN_STATES: Record<RunState, [string, Tone]> = {
  NEW: ['Waiting', 'still'], IN_PROGRESS: ['Running', 'busy'], DONE: ['Done', 'good'], FAILED: ['Failed', 'bad'],
}

/** An app's state as one word: its process's state, if the app is running. */
export function appState(app: Pick<AppStatus, 'state' | 'process'>): [string, Tone] {
  if (app.state === 'RUNNING' && PROCESSES[app.process]) return PROCESSES[app.process]!
  return APP_STATES[app.state] ?? [sentence(app.state), 'still']
}

/** How long it has been up, and how often it was restarted. */
export function healthText(app: Pick<AppStatus, 'state' | 'process' | 'seconds' | 'restarts'>): string {
  const up = app.state === 'RUNNING' && app.process === 'running' ? `Up for ${duration(app.seconds)}` : ''
  const again = app.restarts ? `${amount(app.restarts, 'restart')}` : ''
  return [up, again].filter(Boolean).join(' · ')
}

export function runState(run: Pick<Run, 'state' | 'attempt' | 'next_attempt'>): [string, Tone] {
  if (run.state === 'NEW' && run.next_attempt && run.attempt) return ['Trying again', 'warn']
  return RUN_STATES[run.state] ?? [sentence(run.state), 'still']
}

const SEVERITIES: Record<Notice['severity'], [string, Tone]> = { problem: ['Problem', 'bad'], warning: ['Warning', 'warn'], info: ['News', 'busy'] }

export const noticeTone = (severity: Notice['severity']): [string, Tone] => SEVERITIES[severity] ?? [sentence(severity), 'still']

/** What waits beyond the listed runs, as a sentence; '' if nothing does. */
export function waitingText({ calls, objects }: Waiting): string {
  const parts = [objects ? `${amount(objects, 'new file')} in your storage` : '', calls ? amount(calls, 'stored call') : ''].filter(Boolean)
  const total = (calls ?? 0) + (objects ?? 0)
  const counted = total ? `${parts.join(' and ')} ${total === 1 ? 'waits' : 'wait'} as well, and ${total === 1 ? 'has' : 'have'} no run yet.` : ''
  return [counted, objects === null ? 'The files that wait in your storage can’t be counted now.' : ''].filter(Boolean).join(' ')
}

const STEPS: Record<string, string> = {
  check: 'Checking the archive', review: 'Reading what it asks for', archive: 'Keeping the archive', prepare: 'Getting the new version ready',
  snapshot: 'Keeping a copy of its data', register: 'Recording it in the log', unpack: 'Unpacking it', environment: 'Setting up its packages',
  credentials: 'Making its keys', consumers: 'Connecting its triggers', process: 'Starting it', settle: 'Checking that it stays up',
  init: 'Running its first actions', running: 'Running', pause: 'Paused', rollback: 'Going back to the earlier version', remove: 'Removing it',
  forget: 'Forgetting its data', removed: 'Removed',
}

export const stepText = (step: string) => STEPS[step] ?? sentence(step)

/** `IN_PROGRESS` or `backing-off` as words. */
export function sentence(name: string): string {
  const words = name.replaceAll(/[_-]+/g, ' ').trim().toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

export function amount(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`
}

/** Seconds in readable units: `40 ms`, `2.4 s`, `3 min`, `5 h`, `2 days`. */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`
  if (seconds < 10) return `${(Math.floor(seconds * 10) / 10).toLocaleString()} s`
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 2 * 86400) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86400)} days`
}

/** Seconds since 1970, or an RFC 3339 time. */
export function dateOf(time: number | string): Date {
  return new Date(typeof time === 'number' ? time * 1000 : time)
}

export function ago(time: number | string, now = Date.now()): string {
  const seconds = (now - dateOf(time).getTime()) / 1000
  if (Number.isNaN(seconds)) return ''
  if (seconds < 5) return 'just now'
  if (seconds < 2 * 86400) return `${duration(seconds)} ago`
  return new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' }).format(dateOf(time))
}

export function exactly(time: number | string): string {
  const date = dateOf(time)
  return Number.isNaN(date.getTime()) ? '' : new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' }).format(date)
}

/** Who did something: `You`, a device, or an app's name; and the app through which, by its unique name. */
export function actorText({ actor, through }: { actor: string; through?: string }): string {
  return through ? `${oneText(actor)}, through ${through}` : oneText(actor)
}

function oneText(actor: string): string {
  const [kind, name] = actor.split(/:(.*)/s)
  if (kind === 'person') return name === 'owner' ? 'You' : (name ?? actor)
  if (kind === 'device') return `Your device ${name?.slice(0, 8) ?? ''}`.trim()
  if (kind === 'app') return name === 'core' ? 'PCloud' : (name ?? actor)
  return actor === 'anyone' ? 'Somebody unknown' : actor
}

export const AUDIT_KINDS: Record<string, string> = {
  call: 'Calls', send: 'Sent work', api: 'Graph', bus: 'Bus', limit: 'Limits', archive: 'Archives', web: 'Web', network: 'Network',
}

/** One record of the audit log as a sentence after its actor. */
export function deed(record: AuditRecord): string {
  const target = record.action || record.target
  if (record.kind === 'call') return record.outcome === 'OK' ? `called ${target}` : `tried to call ${target}`
  if (record.kind === 'send') return record.outcome === 'OK' ? `sent work to ${target}` : `tried to send work to ${target}`
  return [target, record.what].filter(Boolean).join(': ')
}

const OUTCOMES: Record<string, string> = {
  OK: 'Worked', FORBIDDEN: 'Refused', REJECTED: 'Rejected', UNAVAILABLE: 'Unavailable', NOT_FOUND: 'Not found', CONFLICT: 'In conflict', CANCELLED: 'Cancelled',
}

export function outcomeText(outcome: string): [string, Tone] {
  return [OUTCOMES[outcome] ?? sentence(outcome), outcome === 'OK' ? 'good' : outcome === 'FORBIDDEN' ? 'bad' : 'warn']
}

/** `app/Type/id`, cut so that a row of it stays short. */
export function entityText(entity: string): string {
  const [, type = '', id = ''] = entity.split('/')
  return entity ? `${type} ${id.length > 12 ? `${id.slice(0, 12)}…` : id}` : ''
}

export function argsText(args: Record<string, unknown>): string {
  return Object.entries(args).map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`).join(' · ')
}

/** A traceback without the path of the app's packages on the node, which is long and does not help. */
export function tracebackText(traceback: string): string {
  return traceback.replaceAll(/"[^"\n]*\/site-packages\//g, '"').trimEnd()
}
