import { z } from "zod";
import { publishedDatasets, versionNumbers } from "../../../pipelines/versions/versions.js";
import { lastStageShares } from "../../../pipelines/flow/stage-record.js";
import { holderOf } from "../../../pipelines/open/folder-holder.js";
import { CODE_VERSION } from "../../../schemas/code-version.js";
import { isSluiceError, orNull } from "../../../schemas/errors.js";
import { flowSchema } from "../../../schemas/api/flow.js";
import { overviewSchema, type Overview } from "../../../schemas/api/versions.js";
import type { Console } from "../console.js";
import { answering } from "../operation.js";

export const overview = answering(
  {
    route: "/api/overview",
    summary: "what is served: place, teacher, datasets and their newest versions",
    answer: overviewSchema,
  },
  async ({ console }) => {
    const { store } = console;
    const { config, declared } = await console.settings();
    const known = new Map(config.datasets.map((dataset) => [dataset.name, dataset]));
    const names = new Set([...known.keys(), ...(await publishedDatasets(store))]);
    const datasets: Overview["datasets"][number][] = [];
    for (const name of names) {
      const versions = await versionNumbers(store, name);
      datasets.push({
        name,
        select: known.get(name)?.select ?? null,
        window: known.get(name)?.window ?? null,
        versions,
        newest: await newestOf(console, name, versions),
      });
    }
    const teacher = declared.settings?.teacher ?? null;
    return {
      place: store.place,
      folder: config.data,
      stream: config.stream,
      codeVersion: CODE_VERSION,
      readOnly: console.readOnly,
      author: console.author,
      kafka: config.kafka?.brokers ?? null,
      teacher: teacher === null ? null : { name: teacher.name, digest: teacher.digest },
      datasets,
    };
  },
);

/** The newest that can be read; what is said of the others, the list of versions says. */
async function newestOf(
  { manifests }: Console,
  name: string,
  numbers: readonly number[],
): Promise<Overview["datasets"][number]["newest"]> {
  for (const number of numbers.toReversed()) {
    try {
      const manifest = await manifests.of(name, number);
      return { number, id: manifest.id, createdAt: manifest.provenance.createdAt };
    } catch (error) {
      if (!isSluiceError(error, "E_VERSION_CORRUPT")) throw error;
    }
  }
  return null;
}

/** As `sluice status --json`. */
export const status = answering(
  {
    route: "/api/status",
    summary: "what `sluice status --json` says",
    answer: z.looseObject({ folder: z.string(), stream: z.string() }),
  },
  async ({ console }) => {
    const { config } = await console.settings();
    const seen = { holder: await orNull(holderOf(config), "E_LOG_CORRUPT"), stages: await lastStageShares(config) };
    const found = await console.status.get();
    return { folder: config.data, stream: config.stream, ...seen, ...found };
  },
);

const partSchema = z.strictObject({ objects: z.int().nonnegative(), sizeBytes: z.int().nonnegative() });

export const kept = answering(
  {
    route: "/api/storage",
    summary: "what the store takes, as `sluice status --storage --json`: scores, packs of image bytes, versions",
    answer: z.strictObject({
      scores: partSchema,
      packs: partSchema,
      versions: partSchema,
      other: partSchema,
      all: partSchema,
    }),
  },
  ({ console }) => console.kept.get(),
);

export const flow = answering(
  { route: "/api/flow", summary: "rates, queues, lag and the limiting stage, with the last hour", answer: flowSchema },
  ({ console }) => console.live.flow(),
);
