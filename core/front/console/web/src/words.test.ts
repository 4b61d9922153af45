import { describe, expect, test } from 'vitest'
import { problemOf } from './node.ts'
import { actorText, ago, amount, appState, argsText, dateOf, deed, duration, entityText, healthText, outcomeText, runState, sentence, stepText, tracebackText, waitingText } from './words.ts'

describe('states', () => {
  test('the state of a process replaces that of its running app', () => {
    expect(appState({ state: 'RUNNING', process: 'running' })).toEqual(['Running', 'good'])
    expect(appState({ state: 'RUNNING', process: 'backing-off' })).toEqual(['Restarting', 'warn'])
    expect(appState({ state: 'RUNNING', process: 'not-ready' })).toEqual(['Not ready', 'warn'])
    expect(appState({ state: 'RUNNING', process: 'degraded' })).toEqual(['Works in part', 'warn'])
    expect(appState({ state: 'RUNNING', process: '' })).toEqual(['Running', 'good'])
    expect(appState({ state: 'PAUSED', process: 'stopped' })).toEqual(['Paused', 'warn'])
    expect(appState({ state: 'SOMETHING_NEW', process: '' })).toEqual(['Something new', 'still'])
  })

  test('only a running app has health', () => {
    expect(healthText({ state: 'RUNNING', process: 'running', seconds: 7300, restarts: 1 })).toBe('Up for 2 h · 1 restart')
    expect(healthText({ state: 'PAUSED', process: 'stopped', seconds: 7300, restarts: 0 })).toBe('')
  })

  test('a run that waits for its next attempt is not new', () => {
    expect(runState({ state: 'NEW', attempt: 0, next_attempt: null })[0]).toBe('Waiting')
    expect(runState({ state: 'NEW', attempt: 2, next_attempt: 5 })[0]).toBe('Trying again')
    expect(runState({ state: 'FAILED', attempt: 5, next_attempt: null })).toEqual(['Failed', 'bad'])
  })

  test('what waits without a run is said, and nothing else', () => {
    expect(waitingText({ calls: 0, objects: 0 })).toBe('')
    expect(waitingText({ calls: 1, objects: 0 })).toBe('1 stored call waits as well, and has no run yet.')
    expect(waitingText({ calls: 12, objects: 1243 })).toBe('1,243 new files in your storage and 12 stored calls wait as well, and have no run yet.')
    expect(waitingText({ calls: 0, objects: null })).toBe('The files that wait in your storage can’t be counted now.')
  })

  test('outcomes', () => {
    expect(outcomeText('OK')).toEqual(['Worked', 'good'])
    expect(outcomeText('FORBIDDEN')).toEqual(['Refused', 'bad'])
    expect(outcomeText('DEADLINE_PASSED')).toEqual(['Deadline passed', 'warn'])
  })
})

describe('words', () => {
  test('times', () => {
    expect([0.0001, 0.04, 2.44, 59.9, 3599, 7300, 2e5].map(duration)).toEqual(['1 ms', '40 ms', '2.4 s', '59 s', '59 min', '2 h', '2 days'])
    expect(ago(1000, 1_003_000)).toBe('just now')
    expect(ago('1970-01-01T00:16:40Z', 1_061_000)).toBe('1 min ago')
    expect(ago('never')).toBe('')
    expect(dateOf(1).getTime()).toBe(1000)
  })

  test('amounts and names', () => {
    expect([amount(1, 'entry', 'entries'), amount(2, 'entry', 'entries'), amount(0, 'run')]).toEqual(['1 entry', '2 entries', '0 runs'])
    expect([sentence('backing-off'), sentence('')]).toEqual(['Backing off', ''])
    expect([stepText('environment'), stepText('new-step')]).toEqual(['Setting up its packages', 'New step'])
  })

  test('who did what', () => {
    const actors = ['person:owner', 'person:ada', 'device:0123456789', 'app:photos', 'app:core', 'anyone']
    expect(actors.map((actor) => actorText({ actor }))).toEqual(['You', 'ada', 'Your device 01234567', 'photos', 'PCloud', 'Somebody unknown'])
    expect(actorText({ actor: 'person:owner', through: 'evil' })).toBe('You, through evil')
    const record = { time: 1, actor: 'app:photos', through: '', target: 'role:store/put', action: 'object-store/put', seconds: 0 }
    expect(deed({ ...record, kind: 'call', outcome: 'OK' })).toBe('called object-store/put')
    expect(deed({ ...record, kind: 'call', outcome: 'FORBIDDEN' })).toBe('tried to call object-store/put')
    expect(deed({ ...record, kind: 'bus', action: '', target: 'graph.x', what: 'may not publish there', outcome: 'FORBIDDEN' })).toBe('graph.x: may not publish there')
  })

  test('a traceback names files as they are imported', () => {
    const told = 'File "/data/apps/.environments/1f/lib/python3.11/site-packages/pcloud/bus.py", line 4\nFile "/app/a.py", line 1\n\n'
    expect(tracebackText(told)).toBe('File "pcloud/bus.py", line 4\nFile "/app/a.py", line 1')
  })

  test('what a run is about', () => {
    expect(entityText('image-importer/Image/0123456789abcdef')).toBe('Image 0123456789ab…')
    expect(entityText('')).toBe('')
    expect(argsText({ bucket: 'images', size: 3 })).toBe('bucket images · size 3')
  })
})

describe('what the node refuses', () => {
  test('is shown in its own words, whatever their form', () => {
    expect(problemOf(403, '{"errors":[{"message":"no","extensions":{"code":"FORBIDDEN"}}]}')).toMatchObject({ message: 'no', code: 'FORBIDDEN' })
    expect(problemOf(409, '{"error":{"message":"busy","code":"CONFLICT"}}')).toMatchObject({ message: 'busy', code: 'CONFLICT' })
    expect(problemOf(404, '404: Not Found')).toMatchObject({ message: '404: Not Found', code: 'HTTP_404' })
    expect(problemOf(500, '')).toMatchObject({ message: 'Your cloud answered 500.' })
    expect(problemOf(401, '{}').code).toBe('SIGNED_OUT')
  })
})
