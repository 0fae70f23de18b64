import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// The build must give the same bytes on every machine: no source maps, no time stamps, names from content hashes.
// The relative base lets web.Index (embed.go) mount the console below any path.
export default defineConfig({
  base: './',
  resolve: { alias: { '@': new URL('./src', import.meta.url).pathname } },
  plugins: [react(), tailwindcss()],
  build: {
    target: 'es2022',
    sourcemap: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // The budget script knows the catalogues by this name.
        chunkFileNames: (c) => {
          const [, lang, area] = /i18n\/(en|zh-CN)\/(\w+)\.\w+$/.exec(c.facadeModuleId ?? '') ?? []
          return lang ? `assets/${area === 'first' ? 'messages' : `text-${area}`}-${lang}-[hash].js` : 'assets/[name]-[hash].js'
        },
        // Libraries change rarely: a chunk of their own keeps the committed dist stable.
        codeSplitting: {
          groups: [
            { name: 'react', test: /node_modules[\\/](react|react-dom|scheduler)[\\/]/ },
            { name: 'tanstack', test: /node_modules[\\/]@tanstack[\\/]/ },
            { name: 'ui', test: /node_modules[\\/](@radix-ui|radix-ui|@floating-ui|aria-hidden|react-remove-scroll.*)[\\/]/ },
          ],
        },
      },
    },
  },
  // COMETMQ_CONSOLE names a running server for `npm run dev`.
  server: { proxy: { '/api': process.env.COMETMQ_CONSOLE ?? 'http://127.0.0.1:8080' } },
  test: { environment: 'node', setupFiles: ['src/test-setup.ts'], include: ['src/**/*.test.{ts,tsx}'], maxWorkers: 2 },
})
