/** The open notices, for the page that lists them and for the mark beside its name. */
import { graph } from './node.ts'
import { Polled } from './polled.svelte.ts'
import type { Notice } from './shapes.ts'

export const notices = new Polled(async () => (await graph<{ notices: Notice[] }>('{ notices }')).notices, 10_000)

const change = (command: 'dismissNotice' | 'restoreNotice') => async (id: string) => {
  await graph(`mutation($id: ID!) { ${command}(id: $id) }`, { id })
  await notices.refresh()
}

/** Take it off the list until it ends, or put it back. */
export const dismissNotice = change('dismissNotice')
export const restoreNotice = change('restoreNotice')
