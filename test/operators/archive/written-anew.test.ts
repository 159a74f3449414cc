import assert from "node:assert/strict";
import { test } from "node:test";
import type { Store } from "../../../connectors/store/store.js";
import { ChainReader } from "../../../operators/archive/chain-reader.js";
import { eraseRows } from "../../../operators/archive/erase-rows.js";
import { redactedSegment } from "../../../operators/archive/redacted-rows.js";
import { writeRunAnew } from "../../../operators/archive/run-writer.js";
import { digestText } from "../../../operators/version/fetched-images.js";
import { keys, type ChainName } from "../../../schemas/keys.js";
import { encodeRun, type RunBlock, type RunHead } from "../../../schemas/run.js";
import type { Segment } from "../../../schemas/segment.js";
import { imageDigest } from "../../fixtures/archive.js";
import { archivedStream } from "../../fixtures/archived-stream.js";
import { allSegments, compactAt } from "../../fixtures/compacting.js";
import type { MemoryStore } from "../../fixtures/memory-store.js";

const DIGEST = Buffer.from(imageDigest(13)).toString("hex");
const LEADS = { digests: new Set([DIGEST]), uris: new Map<string, string>() };

async function urisOf(store: Store, chain: ChainName): Promise<(string | null)[]> {
  const uris: (string | null)[] = [];
  for (const { batch } of await allSegments(store, [chain]))
    for (let row = 0; row < batch.count; row++) if (digestText(batch, row) === DIGEST) uris.push(batch.uri.get(row));
  return uris;
}

/** Takes what leads to the image out of the standing run that has it, as an erasure does. */
async function redact(store: Store, chain: ChainName): Promise<void> {
  const reader = new ChainReader(store, chain);
  const { start, level } = await reader.runs.standingAt(13);
  const head = await reader.runs.head(start, level);
  const rows = async function* (): AsyncGenerator<Segment> {
    for await (const segment of reader.segments(head.start, head.end)) yield redactedSegment(segment, LEADS);
  };
  await writeRunAnew(rows(), head, { store, chain, attempt: "redacted", nowMs: () => 0, again: "again" });
}

test("a merge that has read rows before they were taken out makes no run of them", async () => {
  const archive = await archivedStream({ records: [60] });
  const { store, chains } = archive;
  const [chain] = chains;
  let isRedacted = false;
  const merging: MemoryStore = {
    ...store,
    putStream: async (key, chunks) => {
      const written = await store.putStream(key, chunks);
      if (!/-01-[a-z0-9]+-\d+\.parquet$/.test(key) || isRedacted) return written;
      isRedacted = true;
      await redact(store, chain!);
      return written;
    },
  };
  await compactAt(merging, archive, 0);
  assert.ok(isRedacted);
  assert.deepEqual(await urisOf(store, chain!), ["erased:", "erased:"]);
  await compactAt(store, archive, 1);
  assert.deepEqual(await urisOf(store, chain!), ["erased:", "erased:"], "merged since");
});

test("an erasure finds the run that a merge has made of old rows meanwhile", async () => {
  const archive = await archivedStream({ records: [60] });
  const { store, chains } = archive;
  const [chain] = chains;
  await compactAt(store, archive, 0);
  const { runs } = new ChainReader(store, chain!);
  const { start, level } = await runs.standingAt(13);
  const head = await runs.head(start, level);
  const blocks: RunBlock[] = [];
  for (let at = head.start; at < head.end; at = (await runs.indexAt(at)).end)
    blocks.push((await runs.indexAt(at)).block);
  const raised: Omit<RunHead, "blocks"> = { ...head, level: level + 1 };
  let attempts = 0;
  const erasing: MemoryStore = {
    ...store,
    put: async (key, bytes) => {
      await store.put(key, bytes);
      if (key === keys.runIndex(chain!, start, level))
        await store.putIfAbsent(keys.runIndex(chain!, start, level + 1), encodeRun(raised, blocks));
    },
  };
  await eraseRows({ store: erasing, chain: chain!, leads: LEADS, attempt: () => `e${attempts++}`, nowMs: () => 0 });
  assert.deepEqual(await urisOf(store, chain!), ["erased:", "erased:"]);
});

test("a run whose new files were swept before its index named them stays as it was", async () => {
  const archive = await archivedStream({ records: [60] });
  const { store, chains } = archive;
  const [chain] = chains;
  await compactAt(store, archive, 0);
  const before = await allSegments(store, chains);
  const swept: MemoryStore = {
    ...store,
    put: async (key, bytes) => {
      for (const name of store.objects.keys()) if (name.includes("-redacted-")) store.objects.delete(name);
      await store.put(key, bytes);
    },
  };
  await assert.rejects(redact(swept, chain!), { code: "E_CHAIN_CONFLICT" });
  assert.deepEqual(await allSegments(store, chains), before);
});
