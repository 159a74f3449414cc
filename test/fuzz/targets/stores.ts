import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openSealedJson, sealJson } from "../../../schemas/sealed-json.js";
import { SluiceError } from "../../../schemas/errors.js";
import type { FuzzTarget } from "../fuzz-target.js";
import { mutateBytes, mutateJson, oneOf } from "../mutate.js";
import { smallStore } from "./small-store.js";

const READING: readonly (readonly string[])[] = [
  ["archive", "verify", "--json"],
  ["versions", "verify", "few/1", "--deep", "--json"],
  ["versions", "list", "--json"],
  ["versions", "show", "few/1", "--json"],
  ["rebuild", "few", "--json"],
  ["status", "--json"],
  ["datasets", "list", "--json"],
  ["quarantine", "list", "--json"],
  ["teacher", "list", "--json"],
  ["gc", "--json"],
  ["compact", "--json"],
];

/** The key's length (u16), the key, and what the object becomes */
function joined(key: string, bytes: Uint8Array): Uint8Array {
  const head = Buffer.alloc(2);
  head.writeUInt16LE(Buffer.byteLength(key));
  return Buffer.concat([head, Buffer.from(key), bytes]);
}

function parted(input: Uint8Array): { key: string; bytes: Uint8Array } | null {
  const held = Buffer.from(input);
  if (held.length < 2) return null;
  const end = 2 + held.readUInt16LE(0);
  return end > held.length ? null : { key: held.subarray(2, end).toString(), bytes: held.subarray(end) };
}

/** JSON changed, and sealed again as a forger would where it was sealed. */
function forged(next: () => number, bytes: Uint8Array): Uint8Array {
  const changed = mutateJson(next, bytes);
  try {
    openSealedJson(bytes);
    const value: unknown = JSON.parse(Buffer.from(changed).toString());
    if (value === null || typeof value !== "object" || Array.isArray(value)) return changed;
    const members = Object.entries(value).filter(([name]) => name !== "crc32");
    return sealJson(Object.fromEntries(members));
  } catch (error) {
    if (error instanceof TypeError || error instanceof SyntaxError) return changed;
    throw error;
  }
}

export const STORES: FuzzTarget = {
  name: "stores",
  what: "objects of a store (manifests, declarations, segments, runs, packs, checkpoints), read by commands",
  extension: "bin",
  prepare: async (folder) => {
    const { folder: site, objects } = await smallStore(folder);
    const keys = [...objects.keys()];
    let turn = 0;
    return {
      make: (next) => {
        const key = oneOf(next, keys);
        const bytes = objects.get(key)!;
        const other = objects.get(oneOf(next, keys))!;
        return joined(
          key,
          key.endsWith(".json") && next() < 0.8 ? forged(next, bytes) : mutateBytes(next, bytes, other),
        );
      },
      run: async (input) => {
        const given = parted(input);
        if (given === null || !objects.has(given.key)) return;
        const path = site.stored(given.key);
        await writeFile(path, given.bytes);
        try {
          const args = READING[turn++ % READING.length]!;
          const { code, out, err } = await site.sluice(...args);
          if (/E_INTERNAL/.test(out + err))
            throw new TypeError(`sluice ${args.join(" ")} ended with ${code}: ${(out + err).slice(0, 600)}`);
          if (code !== 0) throw new SluiceError("E_VERSION_CORRUPT", `${args.join(" ")} refused`);
        } finally {
          await restore(site.stored(), objects);
        }
      },
    };
  },
};

/** Every object as it was, and none besides. */
async function restore(store: string, objects: ReadonlyMap<string, Uint8Array>): Promise<void> {
  await rm(store, { recursive: true, force: true });
  for (const [key, bytes] of objects) {
    const path = join(store, key);
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, bytes);
  }
}
