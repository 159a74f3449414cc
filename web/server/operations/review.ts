import { z } from "zod";
import { audit, doubtful, quarantined, unsure } from "../../../pipelines/console/review/review-queue.js";
import { retryRecords } from "../../../pipelines/console/review/retry-records.js";
import { MeantClasses } from "../../../pipelines/versions/meant-classes.js";
import { archivedTeacher } from "../../../pipelines/rebuild.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { Manifest } from "../../../schemas/manifest.js";
import {
  retriedSchema,
  retryBodySchema,
  REVIEWS,
  reviewSchema,
  type Review,
  type ReviewKind,
} from "../../../schemas/api/images.js";
import { datasetPath, pageQuery } from "../../../schemas/api/shared.js";
import { assertMayWrite, type Console } from "../console.js";
import { answering } from "../operation.js";
import { manifestOf } from "./versions.js";

export const review = answering(
  {
    route: "/api/review/{kind}",
    summary:
      "what needs a person: doubtful rows at the cut-off, images that the teacher was unsure of, an audit's sample, the quarantine",
    path: { kind: z.enum(REVIEWS) },
    query: { ...pageQuery, dataset: datasetPath.dataset.optional().describe("by default the first") },
    answer: reviewSchema,
  },
  async ({ console, path, query }) => {
    const found = await queueOf(console, path.kind, query);
    const { config } = await console.settings();
    for (const { sha256, uri, sizeBytes } of found.items) {
      const size = sizeBytes === 0 ? config.decode.maxBytes : sizeBytes;
      if (sha256 !== null) console.finder.remember(sha256, { uri, sizeBytes: size, pack: null });
    }
    return found;
  },
);

interface ReviewQuery {
  readonly from: number;
  readonly limit: number;
  readonly dataset?: string | undefined;
}

async function queueOf(console: Console, kind: ReviewKind, query: ReviewQuery): Promise<Review> {
  const { config } = await console.settings();
  const said = await console.said.all();
  const dataset = query.dataset ?? config.datasets[0]?.name ?? "default";
  switch (kind) {
    case "quarantine":
      return quarantined(
        console.store,
        { teacher: (await teacherOf(console)).digest, stream: config.stream },
        said,
        query,
      );
    case "unsure": {
      const { digest, card } = await teacherOf(console);
      const images = await console.unsure.of(digest, config.stream, card);
      return unsure(images, await newestOrNone(console, dataset), said, query);
    }
    case "audit": {
      const manifest = await manifestOf(console, { dataset, version: "latest" });
      const meant = await MeantClasses.of(console.store, manifest);
      return audit(await console.drawn.of(manifest), manifest, { said, meant }, query);
    }
    case "doubtful":
      return doubtful(console.groups, await manifestOf(console, { dataset, version: "latest" }), said, query);
  }
}

async function teacherOf(console: Console): ReturnType<typeof archivedTeacher> {
  const { declared } = await console.settings();
  return archivedTeacher(console.store, undefined, declared.settings?.teacher);
}

async function newestOrNone(console: Console, dataset: string): Promise<Manifest | null> {
  try {
    return await manifestOf(console, { dataset, version: "latest" });
  } catch (error) {
    if (isSluiceError(error, "E_VERSION_MISSING")) return null;
    throw error;
  }
}

export const retry = answering(
  {
    route: "/api/quarantine/retry",
    summary: "appends records in quarantine to the stream again, as `sluice quarantine retry`; scoring is others' work",
    body: retryBodySchema,
    answer: retriedSchema,
  },
  async ({ console, body }) => {
    assertMayWrite(console);
    const { config } = await console.settings();
    const { digest } = await teacherOf(console);
    const retried = await retryRecords({ config, store: console.store, teacher: digest }, body.records);
    for (const { partition, offset } of body.records)
      console.logAction(`${body.by ?? console.author}: retry record ${partition}/${offset}`);
    return retried;
  },
);
