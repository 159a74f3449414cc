import { join } from "node:path";
import { defineConfig } from "vite";

/** The console's page: `vite build` puts it where `sluice serve` finds it; `vite` shows it beside a running `sluice serve`. */
export default defineConfig({
  root: join(import.meta.dirname, "web", "app"),
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: join(import.meta.dirname, "dist", "web", "page"),
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
  },
  server: { proxy: { "/api": "http://127.0.0.1:4747" } },
});
