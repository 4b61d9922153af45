import { describe, expect, test } from 'vitest'
import { geometry, locate, neighbour, place, sectionAt, sections, totalCount, totalHeight, visible, type Geometry, type Month } from './timeline.ts'

const shape: Geometry = { columns: 4, side: 100, gap: 10, heading: 50 }
const months: Month[] = [
  { key: '2024-07', count: 2 }, { key: '2024-02', count: 1 }, { key: '2023-11', count: 9 }, { key: '2022-06', count: 1 },
  { key: '2022-01', count: 3 }, { key: '', count: 2 },
]
const all = sections(months, shape)
const at = (key: string) => all.find((section) => section.key === key)!

/** Many timelines of random months, the same at each run. */
function* random(): Generator<[Month[], Geometry]> {
  let seed = 7
  const next = (below: number) => (seed = (seed * 48271) % 2147483647) % below
  for (let turn = 0; turn < 100; turn++) {
    const found = Array.from({ length: 1 + next(40) }, (_, index) => ({ key: `m${index}`, count: next(next(2) ? 5 : 90) }))
    yield [found, geometry(320 + next(1600), found.reduce((sum, { count }) => sum + count, 0))]
  }
}

describe('sections', () => {
  test('months that are shorter than a line share one', () => {
    expect(all.map(({ key, top, column }) => [key, top, column])).toEqual([
      ['2024-07', 0, 0], ['2024-02', 0, 2], ['2023-11', 160, 0], ['2022-06', 540, 0], ['2022-01', 540, 1], ['', 700, 0],
    ])
    expect(totalHeight(all)).toBe(860)
  })

  test('an empty month takes no room', () => {
    expect(sections([{ key: 'a', count: 0 }, { key: 'b', count: 1 }], shape).map(({ key }) => key)).toEqual(['b'])
  })

  test('no two pictures share a place, none lies outside, and their indices count them all', () => {
    for (const [found, geometry] of random()) {
      const made = sections(found, geometry)
      const places = new Set<string>()
      for (const section of made) {
        for (let within = 0; within < section.count; within++) {
          const { left, top } = place(geometry, within)
          const x = Math.round(section.column * (geometry.side + geometry.gap) + left)
          expect(x + geometry.side).toBeLessThanOrEqual(geometry.columns * (geometry.side + geometry.gap))
          expect(section.top + top + geometry.side).toBeLessThanOrEqual(totalHeight(made))
          places.add(`${x} ${Math.round(section.top + top)}`)
        }
      }
      expect(places.size).toBe(found.reduce((sum, { count }) => sum + count, 0))
      expect(totalCount(made)).toBe(places.size)
    }
  })

  test('a hundred thousand pictures are laid out in no time', () => {
    const many = sections(Array.from({ length: 400 }, (_, index) => ({ key: `${index}`, count: 250 })), geometry(1440, 100_000))
    expect(totalCount(many)).toBe(100_000)
    expect(visible(many, geometry(1440, 100_000), 1_000_000, 1_002_250).reduce((sum, { from, to }) => sum + to - from, 0)).toBeLessThan(120)
  })
})

describe('visible', () => {
  test('gives whole lines of what touches the window', () => {
    expect(visible(all, shape, 300, 320)).toEqual([{ section: at('2023-11'), from: 0, to: 4 }])
    expect(visible(all, shape, 321, 430)).toEqual([{ section: at('2023-11'), from: 4, to: 8 }])
    expect(visible(all, shape, 0, 10).map(({ section, to }) => [section.key, to])).toEqual([['2024-07', 0], ['2024-02', 0]])
  })

  test('together, windows show every picture', () => {
    for (const [found, geometry] of random()) {
      const made = sections(found, geometry)
      const shown = new Set<number>()
      for (let top = 0; top < totalHeight(made); top += 500) {
        for (const { section, from, to } of visible(made, geometry, top, top + 500)) for (let i = from; i < to; i++) shown.add(section.first + i)
      }
      expect(shown.size).toBe(totalCount(made))
    }
  })

  test('nothing is visible where nothing is', () => {
    expect(visible([], shape, 0, 1000)).toEqual([])
    expect(visible(all, shape, 9000, 9900)).toEqual([])
  })
})

test('locate finds each index in its month and nothing beyond', () => {
  const found = Array.from({ length: totalCount(all) }, (_, index) => locate(all, index)!)
  expect(found.map(({ section, within }) => section.first + within)).toEqual(found.map((_, index) => index))
  expect(locate(all, -1)).toBeUndefined()
  expect(locate(all, totalCount(all))).toBeUndefined()
})

test('sectionAt names the month at a height', () => {
  expect(sectionAt(all, 0)?.key).toBe('2024-07')
  expect(sectionAt(all, 200)?.key).toBe('2023-11')
  expect(sectionAt(all, 99_999)?.key).toBe('')
  expect(sectionAt([], 0)).toBeUndefined()
})

describe('neighbour', () => {
  const go = (index: number, key: string) => neighbour(all, shape, index, key)

  test('goes across months and stops at the ends', () => {
    expect([go(1, 'ArrowRight'), go(2, 'ArrowLeft'), go(0, 'ArrowLeft'), go(17, 'ArrowRight')]).toEqual([2, 1, 0, 17])
    expect([go(5, 'Home'), go(5, 'End')]).toEqual([0, 17])
  })

  test('goes up and down within a month by its lines, the last one short', () => {
    expect([go(3, 'ArrowDown'), go(7, 'ArrowUp'), go(8, 'ArrowDown')]).toEqual([7, 3, 11])
  })

  test('goes up and down between lines of months by where they are drawn', () => {
    expect(go(2, 'ArrowDown')).toBe(5)
    expect(go(5, 'ArrowUp')).toBe(2)
    expect(go(11, 'ArrowDown')).toBe(12)
    expect(go(14, 'ArrowUp')).toBe(11)
    expect(go(0, 'ArrowUp')).toBe(0)
    expect(go(17, 'ArrowDown')).toBe(17)
  })

  test('leaves other keys alone', () => {
    expect(go(3, 'Enter')).toBeUndefined()
  })
})

test('a phone shows three in a line, a wide screen larger tiles while there are few', () => {
  expect(geometry(390, 100_000).columns).toBe(3)
  expect(geometry(1428, 7).columns).toBeLessThan(geometry(1428, 50).columns)
  expect(geometry(1428, 50).columns).toBeLessThan(geometry(1428, 1000).columns)
})
