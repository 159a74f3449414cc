import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openFilesystemStore } from "../../../connectors/store/filesystem/filesystem-store.js";
import { sharpSheets } from "../../../connectors/sheet/sharp.js";
import { publish } from "../../../operators/version/publish.js";
import { redactVersion } from "../../../pipelines/erase/redact-version.js";
import { exportVersion } from "../../../pipelines/export/export-version.js";
import { readManifest } from "../../../pipelines/versions/versions.js";
import { EXPORT_FORMATS } from "../../../schemas/export-format.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { madeCut, manyClasses } from "../../fixtures/cuts.js";
import { openMemoryStore, type MemoryStore } from "../../fixtures/memory-store.js";
import { publishOptions } from "../../fixtures/publishing.js";

test("an image that is erased while an export streams: the export is whole, or is refused and goes on without the image, never half of either", async (t) => {
  for (const as of EXPORT_FORMATS) {
    for (const at of [1, 2, 4]) {
      const folder = await mkdtemp(join(tmpdir(), "sluice-export-erase-"));
      t.after(() => rm(folder, { recursive: true, force: true }));
      const store = await openFilesystemStore(folder);
      const { classes, images } = manyClasses(4, () => 5, 2000);
      const made = publishOptions(images, { groupRows: 8 });
      const cut = madeCut(classes, { shards: { count: 3 } });
      const { manifest } = await publish(cut, { ...made, store });
      const erased = [...images.values()][2]!;
      const target = openMemoryStore();
      let writes = 0;
      const erasing = erasingStore(target, async () => {
        if (++writes !== at) return;
        const digests = new Set([erased.sha256]);
        const options = { store, dataset: manifest.dataset, number: manifest.number, digests, dryRun: false };
        await redactVersion({ ...options, sheets: sharpSheets, nowMs: () => 1 });
      });
      const into = (found: readonly string[]) => ({ store: erasing, found, close: async () => {} });
      const whole = [...images.values()].map(({ bytes }) => Buffer.from(bytes));
      try {
        await exportVersion(store, manifest, into([]), { as });
      } catch (error) {
        assert.ok(isSluiceError(error, "E_VERSION_CORRUPT"), String(error));
        assert.ok(!target.objects.has("README.md"));
      }
      if (as === "folder") {
        for (const [key, bytes] of target.objects)
          if (key.startsWith("images/"))
            assert.ok(
              whole.some((one) => one.equals(Buffer.from(bytes))),
              key,
            );
      }
      // From then on nothing leads to the image.
      const after = openMemoryStore();
      const now = await readManifest(store, manifest.dataset, manifest.number);
      await exportVersion(store, now, { store: after, found: [], close: async () => {} }, { as });
      assert.equal(leadsTo(after, erased.bytes), false, as);
      await store.close();
    }
  }
});

function leadsTo({ objects }: MemoryStore, bytes: Uint8Array): boolean {
  return [...objects.values()].some((one) => Buffer.from(one).includes(Buffer.from(bytes)));
}

/** Does something before each file is written, or in the middle of it. */
function erasingStore(store: MemoryStore, between: () => Promise<void>): MemoryStore {
  return {
    ...store,
    put: async (key, bytes) => {
      await between();
      await store.put(key, bytes);
    },
    putStream: async (key, chunks) =>
      store.putStream(
        key,
        (async function* () {
          for await (const chunk of chunks) {
            yield chunk;
            await between();
          }
        })(),
      ),
  };
}
