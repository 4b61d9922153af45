/** The current page: the address alone decides it. */
const now = () => ({ path: location.pathname, query: new URLSearchParams(location.search) })

export const place = $state({ current: now() })

addEventListener('popstate', () => (place.current = now()))

/** Go to another page of the console; `replace`: replaces this one in the browser's history. */
export function go(address: string, { replace = false } = {}): void {
  const moved = new URL(address, location.href).pathname !== location.pathname
  history[replace ? 'replaceState' : 'pushState'](null, '', address)
  place.current = now()
  if (moved) scrollTo(0, 0)
}

/** Links within the console change the page without reloading it. */
export function followed(event: MouseEvent): void {
  const link = (event.target as Element).closest('a')
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  if (link.origin !== location.origin || link.target || link.hasAttribute('download')) return
  event.preventDefault()
  go(link.pathname + link.search)
}

export const appPath = (name: string) => `/apps/${encodeURIComponent(name)}`
export const runPath = (id: string) => `/runs/${encodeURIComponent(id)}`
export const replayPath = (trigger: string) => `${appPath(trigger.split('/')[0]!)}/replay/${encodeURIComponent(trigger.split('/')[1] ?? '')}`
/** The origin of an app's own pages. */
export const originOf = (app: string) => `${location.protocol}//${app}.${location.host.replace(/^console\./, '')}/`
