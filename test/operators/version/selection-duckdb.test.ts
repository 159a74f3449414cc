import assert from "node:assert/strict";
import { test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { SeededRandom } from "../../../operators/training/seeded-random.js";
import { writeSegment } from "../../../operators/archive/segment-objects.js";
import { cut } from "../../../operators/state/cut.js";
import { datasetSchema } from "../../../schemas/dataset.js";
import type { ChainName } from "../../../schemas/keys.js";
import { teacherDigest } from "../../../schemas/model-card.js";
import { imageDigest, testCard, testSegment } from "../../fixtures/archive.js";
import { openMemoryStore } from "../../fixtures/memory-store.js";

const CLASSES = 6;
const IMAGES = 200;

/** Licence, notes and size as `testSegment` gives them to the record at an offset, in SQL */
function factsOf(image: number): string {
  return `${image % 2 === 0 ? "'CC0'" : "null"}, '${image % 3 === 0 ? "wrong-extension,cmyk" : ""}', ${10 + image}`;
}

test("DuckDB, from the logits, computes merged classes under another temperature, with decay, and of the images that conditions ask for", async () => {
  const card = testCard(CLASSES);
  const chain: ChainName = { teacher: teacherDigest(card), stream: "images", partition: 0, origin: 0 };
  const store = openMemoryStore();
  const records = Array.from({ length: IMAGES }, (_, image) => {
    const random = new SeededRandom(image);
    return { image, logits: Array.from({ length: CLASSES }, () => Math.fround(random.between(-4, 4))) };
  });
  for (let start = 0; start < IMAGES; start += 64) {
    await writeSegment(
      store,
      chain,
      testSegment(chain, start, records.slice(start, start + 64), 2, { allLogits: CLASSES }),
    );
  }
  const select = {
    k: 7,
    p: 2,
    floor: 0.2,
    temperature: 2,
    labels: { two: ["class 4", "class 1"], one: ["class 0", "class 5"], three: ["class 2"] },
    decay: { halfLifeMs: 50, landmarkMs: 1000 },
    where: { licence: ["CC-BY", "CC0"], notes: { none: ["cmyk"] }, sizeBytes: { most: 170 } },
  };
  const dataset = datasetSchema.parse({ name: "d", select });
  const frontier = [{ partition: 0, origin: 0, end: IMAGES }];
  const found: object[] = [];
  const made = await cut({ store, dataset, card, stream: "images", frontier, trigger: "hand" });
  assert.deepEqual(made.labels, ["one", "two", "three"]);
  for await (const chosen of made.classes) {
    for (let row = 0; row < chosen.count; row++) {
      const sha256 = Buffer.from(chosen.digest.subarray(row * 32, row * 32 + 32)).toString("hex");
      found.push({ class: chosen.class, rank: row + 1, sha256, probability: chosen.probability[row]!.toFixed(9) });
    }
  }
  const values = records.flatMap(({ image, logits }) =>
    logits.map(
      (logit, at) =>
        `('${Buffer.from(imageDigest(image)).toString("hex")}', ${1000 + image}, ${factsOf(image)}, ${at}, ${logit}::double)`,
    ),
  );
  const database = await DuckDBInstance.create();
  const connection = await database.connect();
  try {
    const result = await connection.runAndReadAll(`
      with logits(sha256, time, licence, notes, size, class, logit) as (values ${values.join(",")}),
      map(teacher, class) as (values (0, 0), (5, 0), (1, 1), (4, 1), (2, 2)),
      softmax as (select *, exp(logit / 2) / sum(exp(logit / 2)) over (partition by sha256) as share from logits),
      merged as (select sha256, time, map.class, sum(share) as probability
        from softmax join map on map.teacher = softmax.class
        where licence in ('CC0', 'CC-BY') and not contains(notes, 'cmyk') and size <= 170 group by all),
      best as (select *, row_number() over (partition by sha256 order by probability desc) as place from merged),
      ranked as (select class, sha256, probability, row_number() over (
          partition by class order by ln(probability) + (time - 1000) / 50.0 * ln(2) desc, sha256) as rank
        from best where place <= 2 and probability >= 0.2)
      select class, rank, sha256, probability from ranked where rank <= 7 order by class, rank`);
    const expected = result.getRowObjectsJS().map((row) => ({
      class: row["class"],
      rank: Number(row["rank"]),
      sha256: row["sha256"],
      probability: (row["probability"] as number).toFixed(9),
    }));
    assert.equal(expected.length, 21);
    assert.deepEqual(found, expected);
  } finally {
    connection.closeSync();
    database.closeSync();
  }
});
