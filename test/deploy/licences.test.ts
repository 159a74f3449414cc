import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { packageFile } from "../../cli/package-root.js";

/** Licences under which what people install may come; the LGPL is of libvips alone, which is loaded as a library of its own. */
const TAKEN = new Set(["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD", "BlueOak-1.0.0"]);
const LIBVIPS = /^node_modules\/@img\/sharp-/;

interface Locked {
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
}

/** Packages of a lock file that people install, whose licence is not taken: `path: licence`. */
function untaken(packages: Readonly<Record<string, Locked>>): string[] {
  return Object.entries(packages)
    .filter(([path, { dev, link }]) => path.startsWith("node_modules/") && dev !== true && link !== true)
    .filter(([path, { license = "none" }]) =>
      license
        .replaceAll(/[()]/g, "")
        .split(" AND ")
        .some((each) => !TAKEN.has(each) && !(each === "LGPL-3.0-or-later" && LIBVIPS.test(path))),
    )
    .map(([path, { license = "none" }]) => `${path}: ${license}`);
}

test("every package that people install has a licence that permits it", async () => {
  const { packages } = JSON.parse(await readFile(packageFile("package-lock.json"), "utf8")) as {
    packages: Record<string, Locked>;
  };
  assert.ok(Object.keys(packages).length > 150);
  assert.deepEqual(untaken(packages), []);
});

test("another licence, and none, are found", () => {
  assert.deepEqual(
    untaken({
      "node_modules/a": { license: "GPL-3.0-only" },
      "node_modules/b": {},
      "node_modules/c": { license: "(MIT AND Zlib)" },
      "node_modules/d": { license: "LGPL-3.0-or-later" },
      "node_modules/@img/sharp-x": { license: "Apache-2.0 AND LGPL-3.0-or-later" },
      "node_modules/e": { license: "GPL-3.0-only", dev: true },
    }),
    [
      "node_modules/a: GPL-3.0-only",
      "node_modules/b: none",
      "node_modules/c: (MIT AND Zlib)",
      "node_modules/d: LGPL-3.0-or-later",
    ],
  );
});
