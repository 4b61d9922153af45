// One page, one script, one stylesheet. The API serves them all at its own address (`/graphql`, `/graphql/<app>` or
// `/_pcloud/graphql`), told apart by `?asset=`, so every address in the page is relative to wherever that is.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  experimental: {
    renderBuiltUrl: (filename, { hostType }) => (hostType === "css" ? { relative: true } : `?asset=${filename}`),
  },
  build: {
    assetsDir: "",
    assetsInlineLimit: 1_000_000,
    chunkSizeWarningLimit: 5_000,
    rollupOptions: {
      output: { inlineDynamicImports: true },
      // React libraries say "use client", which means nothing here.
      onwarn: (warning, warn) => warning.code === "MODULE_LEVEL_DIRECTIVE" || warn(warning),
    },
  },
});
