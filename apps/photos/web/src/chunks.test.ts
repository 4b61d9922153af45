import { expect, test, vi } from 'vitest'
import { Chunks, type Page } from './chunks.ts'
import { CHUNK, type Picture } from './picture.ts'

const picture = (id: string): Picture => ({ id, width: 1, height: 1, takenAt: null, title: null, faceCount: null })
const page = (month: string, offset: number): Page => ({
  pictures: Array.from({ length: CHUNK }, (_, at) => picture(`${month}-${offset + at}`)), cursor: `${month} after ${offset + CHUNK}`,
})

/** Answers on request of the test; `asked` in order. */
function held() {
  const asked: { month: string; offset: number; after: string | null; answer: (page?: Page) => void; refuse: () => void }[] = []
  const failed = vi.fn()
  const changed = vi.fn()
  const chunks = new Chunks(
    (month, offset, after) =>
      new Promise((resolve, reject) =>
        asked.push({ month, offset, after, answer: (given) => resolve(given ?? page(month, offset)), refuse: () => reject(new Error('no')) }),
      ),
    changed, failed,
  )
  return { chunks, asked, changed, failed }
}
const settled = () => new Promise((resolve) => setTimeout(resolve))

test('what is in view is fetched once and held', async () => {
  const { chunks, asked, changed } = held()
  chunks.want([{ month: 'a', from: 5, to: 20 }])
  chunks.want([{ month: 'a', from: 6, to: 21 }])
  expect(chunks.at('a', 5)).toBeUndefined()
  asked[0]!.answer()
  await settled()
  expect(asked.length).toBe(1)
  expect(chunks.at('a', 5)?.id).toBe('a-5')
  expect(changed).toHaveBeenCalledTimes(1)
})

test('fast scrolling leaves no queue: only what is in view at the end is fetched', async () => {
  const { chunks, asked } = held()
  for (let month = 0; month < 100; month++) chunks.want([{ month: `m${month}`, from: 0, to: 10 }])
  expect(asked.length).toBe(3)
  for (const one of asked) one.answer()
  await settled()
  expect(asked.slice(3).map(({ month }) => month)).toEqual(['m99'])
})

test('the next chunk goes by the cursor of the one before, a far one by offset', async () => {
  const { chunks, asked } = held()
  chunks.want([{ month: 'a', from: 0, to: 1 }])
  asked[0]!.answer()
  await settled()
  chunks.want([{ month: 'a', from: CHUNK, to: CHUNK + 1 }, { month: 'a', from: 50 * CHUNK, to: 50 * CHUNK + 1 }])
  expect(asked.slice(1).map(({ offset, after }) => [offset, after])).toEqual([[CHUNK, 'a after 120'], [50 * CHUNK, null]])
})

test('a stale chunk is shown until its successor arrives', async () => {
  const { chunks, asked } = held()
  chunks.want([{ month: 'a', from: 0, to: 10 }])
  asked[0]!.answer()
  await settled()
  chunks.stale(new Set(['b']))
  expect(asked.length).toBe(1)
  chunks.stale(new Set(['a']))
  expect(chunks.at('a', 0)?.id).toBe('a-0')
  asked[1]!.answer({ pictures: [picture('new')], cursor: null })
  await settled()
  expect(chunks.at('a', 0)?.id).toBe('new')
})

test('a chunk that becomes stale while loading is fetched again', async () => {
  const { chunks, asked } = held()
  chunks.want([{ month: 'a', from: 0, to: 10 }])
  chunks.stale()
  asked[0]!.answer()
  await settled()
  expect(asked.length).toBe(2)
})

test('an answer to a query from before `clear` is dropped', async () => {
  const { chunks, asked } = held()
  chunks.want([{ month: 'a', from: 0, to: 10 }])
  chunks.clear()
  asked[0]!.answer()
  await settled()
  expect(chunks.at('a', 0)).toBeUndefined()
})

test('a failure is reported and retried, but not at once', async () => {
  vi.useFakeTimers()
  const { chunks, asked, failed } = held()
  chunks.want([{ month: 'a', from: 0, to: 10 }])
  asked[0]!.refuse()
  await vi.advanceTimersByTimeAsync(100)
  expect(failed).toHaveBeenCalledTimes(1)
  expect(asked.length).toBe(1)
  await vi.advanceTimersByTimeAsync(5000)
  expect(asked.length).toBe(2)
  vi.useRealTimers()
})

test('a changed picture replaces and returns the earlier one', async () => {
  const { chunks, asked } = held()
  chunks.want([{ month: 'a', from: 0, to: 10 }])
  asked[0]!.answer()
  await settled()
  expect(chunks.find('a-7')).toEqual({ month: 'a', index: 7 })
  expect(chunks.replace({ ...picture('a-7'), faceCount: 2 })?.faceCount).toBeNull()
  expect(chunks.at('a', 7)?.faceCount).toBe(2)
  expect(chunks.replace(picture('elsewhere'))).toBeUndefined()
})

test('long scrolling drops the oldest chunks', async () => {
  const chunks = new Chunks(async (month, offset) => page(month, offset), () => {}, () => {})
  for (let number = 0; number < 260; number++) {
    chunks.want([{ month: 'a', from: number * CHUNK, to: number * CHUNK + 1 }])
    await settled()
  }
  expect(chunks.at('a', 0)).toBeUndefined()
  expect(chunks.at('a', 259 * CHUNK)?.id).toBe(`a-${259 * CHUNK}`)
})
