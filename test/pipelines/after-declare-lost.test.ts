import assert from "node:assert/strict";
import { test } from "node:test";
import { sharpSheets } from "../../connectors/sheet/sharp.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import { writeSegment } from "../../operators/archive/segment-objects.js";
import { digestText } from "../../operators/version/fetched-images.js";
import { collect } from "../../pipelines/collect.js";
import { declareLost } from "../../pipelines/declare-lost.js";
import { erase } from "../../pipelines/erase/erase.js";
import { LocalScoreIndex } from "../../pipelines/flow/score-index.js";
import { keys } from "../../schemas/keys.js";
import { imageDigest, testSegment } from "../fixtures/archive.js";
import { archivedStream } from "../fixtures/archived-stream.js";
import { allSegments, compactAt } from "../fixtures/compacting.js";
import { memoryTable } from "../fixtures/memory-table.js";

const INDEX = "whose index is damaged";
const ROWS = "whose rows have gone";

for (const what of [INDEX, ROWS]) {
  test(`once a run ${what} was declared lost, images are erased and bytes freed, and scoring begins`, async () => {
    const archive = await archivedStream({ records: [60] });
    const { store, teacher, stream, chains } = archive;
    const [chain] = chains;
    await compactAt(store, archive, 0);
    await compactAt(store, archive, 10);
    const { runs } = new ChainReader(store, chain!);
    const [run] = await runs.standing();
    const key =
      what === INDEX
        ? keys.runIndex(chain!, run!.start, run!.level)
        : (await runs.head(run!.start, run!.level)).files[0]!.key;
    if (what === ROWS) store.objects.delete(key);
    else store.objects.get(key)![20]! ^= 16;
    const behind = { image: 1000, logits: [5, 4, 3, 2, 1] };
    await writeSegment(store, chain!, testSegment(chain!, 60, [behind, behind], 5));
    const said = { target: key, reason: "gone", author: "a test", dryRun: false, nowMs: 0 };
    await declareLost({ store, stream, teachers: [teacher], datasets: [], ...said });

    const table = memoryTable();
    const index = new LocalScoreIndex(store, table, { teacher, stream, leftAtLeast: 1 });
    const { end } = await index.catchUp(chain!);
    assert.equal(end, await new ChainReader(store, chain!).end());
    const digest = Buffer.from(imageDigest(behind.image)).toString("hex");
    await index.look(Buffer.from(digest, "hex"));
    assert.notEqual(index.find(Buffer.from(digest, "hex")), null, "what is left is known");
    let attempts = 0;
    const options = { store, dryRun: false, nowMs: () => 0, attempt: () => `a${attempts++}` };
    const asked = { streams: [stream], digests: [digest], by: null, reason: null, isAlone: true, sheets: sharpSheets };
    const { records, refused } = await erase({ ...options, ...asked });
    assert.equal(records.length, 2);
    assert.deepEqual(refused, []);
    assert.deepEqual((await collect({ ...options, stream })).refused, []);
    for (const segment of await allSegments(store, chains))
      for (let row = 0; row < segment.batch.count; row++)
        if (digestText(segment.batch, row) === digest) assert.equal(segment.batch.uri.get(row), "erased:");
  });
}
