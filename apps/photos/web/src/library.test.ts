import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import * as graph from './graph.ts'
import { Library } from './library.svelte.ts'

type Handlers = { next: (data: unknown) => void; connected: (on: boolean) => void; refused: () => void }

const ask = vi.spyOn(graph, 'ask')
const follow = vi.spyOn(graph, 'follow')
let handlers: Handlers
let after: () => Record<string, unknown>
let fields = ['id', 'segments', 'faceCount']
let months = [{ value: '2024-07', count: 2 }]
const node = (id: string, faceCount: number | null = null, takenAt = '2024-07-01T00:00:00.000Z') => ({ id, width: 1, height: 1, takenAt, title: null, faceCount })
let rows = [node('a'), node('b')]

vi.mock('./graph.ts', { spy: true })

beforeEach(() => {
  vi.useFakeTimers()
  fields = ['id', 'segments', 'faceCount']
  months = [{ value: '2024-07', count: 2 }]
  rows = [node('a'), node('b')]
  ask.mockReset().mockImplementation(async (query) => {
    if (query.includes('__type')) return { __type: { fields: fields.map((name) => ({ name })) } }
    if (query.includes('group')) return { aggregateImage: { count: months.reduce((sum, { count }) => sum + count, 0), group: months } }
    return { queryImage: rows.map((row) => ({ ...row, _cursor: row.id })) }
  })
  follow.mockReset().mockImplementation((_, variables, given) => {
    handlers = given as Handlers
    after = variables
    return () => {}
  })
})
afterEach(() => vi.useRealTimers())

async function opened(): Promise<Library> {
  const library = new Library()
  await library.open()
  library.want([{ month: '2024-07', from: 0, to: 2 }])
  await vi.advanceTimersByTimeAsync(0)
  ask.mockClear()
  return library
}
const happened = (kind: string, id: string, of: unknown, revision = 'e-7') => handlers.next({ imageEvents: { kind, id, revision, node: of } })

test('a new picture is counted and shown', async () => {
  const library = await opened()
  months = [{ value: '2024-07', count: 3 }]
  rows = [node('new'), ...rows]
  happened('created', 'new', node('new'))
  await vi.advanceTimersByTimeAsync(1500)
  expect(library.total).toBe(3)
  expect(library.at('2024-07', 0)?.id).toBe('new')
})

test('a burst of 200 costs a few queries', async () => {
  await opened()
  for (let turn = 0; turn < 200; turn++) {
    happened('created', `n${turn}`, node(`n${turn}`))
    await vi.advanceTimersByTimeAsync(20)
  }
  await vi.advanceTimersByTimeAsync(2000)
  expect(ask.mock.calls.length).toBeLessThan(16)
})

test('faces that are found later are shown without a query', async () => {
  const library = await opened()
  happened('updated', 'b', node('b', 3))
  await vi.advanceTimersByTimeAsync(2000)
  expect(library.at('2024-07', 1)?.faceCount).toBe(3)
  expect(ask).not.toHaveBeenCalled()
})

test('a picture that is deleted vanishes', async () => {
  const library = await opened()
  months = [{ value: '2024-07', count: 1 }]
  rows = [node('b')]
  happened('deleted', 'a', null)
  await vi.advanceTimersByTimeAsync(1500)
  expect([library.total, library.at('2024-07', 0)?.id, library.at('2024-07', 1)]).toEqual([1, 'b', undefined])
})

test('the subscription continues after the last event', async () => {
  await opened()
  happened('updated', 'a', node('a', 1), 'e-41')
  expect(after()).toEqual({ after: 'e-41' })
})

test('after a lost connection all is fetched again', async () => {
  const library = await opened()
  handlers.connected(false)
  expect(library.live).toBe(false)
  months = [{ value: '2024-07', count: 5 }]
  handlers.connected(true)
  await vi.advanceTimersByTimeAsync(2500)
  expect([library.live, library.total]).toEqual([true, 5])
})

test('when the session has ended, the page says so', async () => {
  const library = await opened()
  ask.mockRejectedValue(new graph.GraphError('You are signed out.', 'SIGNED_OUT'))
  handlers.connected(false)
  await vi.advanceTimersByTimeAsync(2000)
  expect([library.state, library.problem?.code]).toEqual(['failed', 'SIGNED_OUT'])
})

test('without the face detector no query names faces', async () => {
  fields = ['id', 'width']
  const library = new Library()
  await library.open()
  library.want([{ month: '2024-07', from: 0, to: 2 }])
  await library.facts('a')
  expect(library.faces).toBe(false)
  expect(ask.mock.calls.map(([query]) => query).filter((query) => /faceCount|segments/.test(query))).toEqual([])
})

test('a node that can’t be reached fails the page, which may try again', async () => {
  ask.mockRejectedValueOnce(new graph.GraphError('Your cloud can’t be reached.', 'OFFLINE'))
  const library = new Library()
  await library.open()
  expect(library.state).toBe('failed')
  await library.open()
  expect([library.state, library.problem]).toEqual(['ready', null])
})
