import { randomUUID } from "node:crypto";
import { z } from "zod";
import { assertFits } from "../../../pipelines/flow/memory-estimate.js";
import { publishingParts } from "../../../pipelines/open/open-scoring.js";
import { archivedTeacher, rebuild } from "../../../pipelines/rebuild.js";
import { versionNumbers } from "../../../pipelines/versions/versions.js";
import { SluiceError } from "../../../schemas/errors.js";
import { authorText, datasetPath, sha256Text } from "../../../schemas/api/shared.js";
import { assertMayWrite } from "../console.js";
import { answering } from "../operation.js";
import { Refusal } from "../refusal.js";

/** One at a time: a cut takes memory as a rebuild does. */
let publishing: string | null = null;

export const publish = answering(
  {
    route: "/api/datasets/{dataset}/publish",
    summary: "makes a version of a declared dataset from all that is archived by now, as `sluice rebuild`",
    path: datasetPath,
    body: z.strictObject({
      by: authorText.optional().describe("who asks; by default the server's author"),
      seen: z
        .int()
        .nonnegative()
        .optional()
        .describe(
          "the newest version's number when it was asked, 0 for none: where another one came meanwhile, the answer is 409",
        ),
    }),
    answer: z.strictObject({
      dataset: z.string(),
      number: z.int().positive(),
      id: sha256Text,
      rows: z.int().nonnegative(),
      /** `unchanged`: the newest version has these rows already */
      outcome: z.string(),
    }),
  },
  async ({ console, path, body }) => {
    assertMayWrite(console);
    const { config, declared } = await console.settings();
    const dataset = config.datasets.find(({ name }) => name === path.dataset);
    // A command never publishes what nobody declared, and neither does a page.
    if (dataset === undefined || !declared.datasets.some(({ name }) => name === path.dataset)) {
      const names = declared.datasets.map(({ name }) => name).join(", ");
      throw new SluiceError(
        "E_DATASET_UNKNOWN",
        `Expected a declared dataset (${names === "" ? "none is" : names}), found "${path.dataset}". Declare it: \`sluice datasets set ${path.dataset} k=1000\`.`,
      );
    }
    const newest = (await versionNumbers(console.store, dataset.name)).at(-1) ?? 0;
    if (body.seen !== undefined && body.seen !== newest) {
      const message = `Expected version ${body.seen} to be the newest of ${dataset.name}, found ${newest}. Look at that one first.`;
      throw new Refusal(409, "E_DATASET_CONFLICT", message, { field: "seen" });
    }
    if (publishing !== null)
      throw new Refusal(
        409,
        "E_LOCKED",
        `Expected that nothing is published here just now, found that ${publishing} is. Wait for it.`,
      );
    publishing = dataset.name;
    try {
      const { digest, card } = await archivedTeacher(console.store, undefined, declared.settings?.teacher);
      assertFits({ ...config, datasets: [dataset] }, card);
      const by = body.by ?? console.author;
      console.logAction(`${by}: publish ${dataset.name}`);
      const { manifest, outcome } = await rebuild({
        store: console.store,
        dataset,
        stream: config.stream,
        teacher: digest,
        ...publishingParts(config),
        trigger: "console",
        nowMs: console.nowMs,
        newId: randomUUID,
      });
      console.held.refresh();
      console.status.forget();
      return { dataset: dataset.name, number: manifest.number, id: manifest.id, rows: manifest.totals.rows, outcome };
    } finally {
      publishing = null;
    }
  },
);
