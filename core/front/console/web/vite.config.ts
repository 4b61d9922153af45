import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type ProxyOptions } from 'vite'

/** While the page is worked on, a running node answers its questions: `PCLOUD_TARGET` is the console's address there,
 * `PCLOUD_COOKIE` a signed-in browser's cookie. */
function node(): Record<string, ProxyOptions> {
  const given = process.env.PCLOUD_TARGET
  if (!given) return {}
  const { host, origin, port } = new URL(given)
  const headers = { Cookie: process.env.PCLOUD_COOKIE ?? '', Host: host, Origin: origin }
  return { '/api': { target: `http://127.0.0.1:${port}`, headers } }
}

export default defineConfig({
  plugins: [svelte()],
  // The page's policy lets no file be part of the page's own text.
  build: { target: 'es2022', sourcemap: false, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: node() },
})
