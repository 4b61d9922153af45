import { describe, expect, test } from 'vitest'
import { Album, type Source } from './album.ts'
import { monthBounds, monthName, monthOf, newestFirst } from './month.ts'
import { bytesText, coordinates, mapAddress, pictureName, takenText, type Picture } from './picture.ts'
import { marks } from './scrubber.ts'
import { inOrder, valueName } from './search.svelte.ts'
import { sections, totalHeight } from './timeline.ts'

const picture = (id: string): Picture => ({ id, width: 1, height: 1, takenAt: '2024-07-23T15:15:00.000Z', title: 'A cat', faceCount: null })

describe('words', () => {
  test('months', () => {
    expect([monthName('2024-07'), monthName('2024-07', 'short'), monthName('')]).toEqual(['July 2024', 'Jul 2024', 'No date'])
    expect([monthOf('2024-07-23T15:15:00.000Z'), monthOf(null)]).toEqual(['2024-07', ''])
    expect(monthBounds('2023-12')).toEqual({ min: '2023-12-01T00:00:00.000Z', max: '2023-12-31T23:59:59.999Z' })
    expect(['', '2023-12', '2024-07'].map((key) => ({ key })).sort(newestFirst).map(({ key }) => key)).toEqual(['2024-07', '2023-12', ''])
  })

  test('the hour is that of the place where it was taken', () => {
    expect(takenText('2024-07-23T15:15:00.000Z', '-05:00')).toMatch(/July 23, 2024.*10:15/)
    expect(takenText('2024-07-23T23:30:00.000Z', '+05:30')).toMatch(/July 24, 2024.*5:00/)
    expect(takenText('2024-07-23T15:15:00.000Z', null)).toMatch(/3:15/)
    expect(takenText(null, null)).toBe('')
  })

  test('places', () => {
    expect(coordinates(29.5593, -95.09)).toBe('29.5593° N, 95.0900° W')
    expect(coordinates(-1, 2)).toBe('1.0000° S, 2.0000° E')
    expect(mapAddress(1, 2)).toContain('mlat=1&mlon=2')
  })

  test('sizes', () => {
    expect([null, 0, 999, 1500, 75_000, 8_100_000, 3e9, 5e13].map((size) => bytesText(size))).toEqual(
      ['', '0 B', '999 B', '1.5 KB', '75 KB', '8.1 MB', '3.0 GB', '50000 GB'],
    )
  })

  test('pictures and facets', () => {
    expect(pictureName(picture('a'))).toBe('A cat, Jul 23, 2024')
    expect(pictureName({ ...picture('a'), title: null, takenAt: null })).toBe('Photograph')
    expect(['0', '1', '2'].map((value) => valueName('faceCount', value))).toEqual(['no faces', '1 face', '2 faces'])
    const values = ['2', '10', '1'].map((value) => ({ value, count: 1 }))
    expect(inOrder('faceCount', values).map(({ value }) => value)).toEqual(['1', '2', '10'])
    expect(inOrder('takenAt_year', values).map(({ value }) => value)).toEqual(['10', '2', '1'])
    expect(inOrder('camera', values)).toBe(values)
  })
})

test('years on the scrubber do not lie upon each other', () => {
  const all = sections([['2024-02', 4], ['2024-01', 400], ['2023-01', 1000], ['2022-01', 4], ['2021-01', 4], ['', 4]].map(([key, count]) => ({ key: `${key}`, count: Number(count) })),
    { columns: 4, side: 100, gap: 0, heading: 20 })
  const found = marks(all, totalHeight(all), 0.05)
  expect(found.map(({ year }) => year)).toEqual(['2024', '2023', '2022'])
  expect(found[0]!.at).toBe(0)
})

describe('an album', () => {
  const shape = { columns: 4, side: 100, gap: 0, heading: 20 }
  let ids = ['a', 'b', 'c']
  const source: Source = {
    get months() { return [{ key: 'm', count: ids.length }] },
    version: 0,
    at: (_, index) => (ids[index] === undefined ? undefined : picture(ids[index])),
    find: (id) => (ids.includes(id) ? { month: 'm', index: ids.indexOf(id) } : undefined),
    want: () => {},
    wantAlso: () => {},
  }

  test('keeps the open picture at its index while others come and go before it', () => {
    const album = new Album(source, () => sections(source.months, shape), () => {})
    ids = ['new', 'newer', 'a', 'b', 'c']
    album.keep('b', 1)
    expect([album.at(0), album.at(1), album.at(2)].map((one) => one?.id)).toEqual(['a', 'b', 'c'])
    expect([album.count, album.indexOf('c'), album.at(3)]).toEqual([3, 2, undefined])
    ids = ['b', 'c']
    album.keep('b', 1)
    expect([album.at(1)?.id, album.count, album.at(0)]).toEqual(['b', 3, undefined])
  })
})
