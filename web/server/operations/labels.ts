import { labelImages, labelsOf } from "../../../pipelines/versions/label-images.js";
import type { ImageLabel } from "../../../schemas/image-label.js";
import {
  labelBodySchema,
  labelledSchema,
  labelListSchema,
  undoBodySchema,
  type Labelled,
} from "../../../schemas/api/images.js";
import { pageQuery } from "../../../schemas/api/shared.js";
import { z } from "zod";
import { assertMayWrite, type Console } from "../console.js";
import { answering } from "../operation.js";
import { Refusal } from "../refusal.js";

export const labels = answering(
  {
    route: "/api/labels",
    summary: "what was said of images, the newest last, as `sluice label list --json`",
    query: { ...pageQuery, by: z.string().max(200).optional().describe("only this author's") },
    answer: labelListSchema,
  },
  async ({ console, query }) => {
    const all = [...(await console.said.all()).values()].flat();
    const found = query.by === undefined ? all : all.filter(({ by }) => by === query.by);
    found.sort((a, b) => a.timeMs - b.timeMs);
    const end = Math.max(0, found.length - query.from);
    return { count: found.length, labels: found.slice(Math.max(0, end - query.limit), end) };
  },
);

export const label = answering(
  {
    route: "/api/labels",
    summary: "says what images are, and what they are not, as `sluice label`; it counts in every version from now on",
    body: labelBodySchema,
    answer: labelledSchema,
  },
  async ({ console, body }) => {
    const { sha256, by, seen, ...statement } = body;
    return append(console, { sha256, by, seen }, () => {
      const saying = { timeMs: console.nowMs(), by: by ?? console.author };
      return labelsOf([...sha256], statement, saying);
    });
  },
);

export const undo = answering(
  {
    route: "/api/labels/undo",
    summary: "takes back the newest that was said of an image: what was said before holds again",
    body: undoBodySchema,
    answer: labelledSchema,
  },
  async ({ console, body }) => {
    const { sha256, by, seen } = body;
    return append(console, { sha256: [sha256], by, seen }, (said) => {
      const before = (said.get(sha256) ?? []).slice(0, -1);
      const timeMs = console.nowMs();
      // What was said before is said again, in its order, by those who said it.
      const standing = before.slice(before.findLastIndex(({ verdict }) => verdict === "withdrawn") + 1);
      return [
        ...labelsOf([sha256], { verdict: "withdrawn" }, { timeMs, by: by ?? console.author }),
        ...standing.map((one): ImageLabel => ({ ...one, timeMs })),
      ];
    });
  },
);

interface About {
  readonly sha256: readonly string[];
  readonly by?: string | undefined;
  readonly seen?: number | undefined;
}

type Made = (said: ReadonlyMap<string, readonly ImageLabel[]>) => readonly ImageLabel[];

/** Throws 403 where nothing may be said here, 409 where something was said since the caller looked. */
async function append(console: Console, about: About, made: Made): Promise<Labelled> {
  assertMayWrite(console);
  return console.said.saying(() => appendNow(console, about, made));
}

async function appendNow(console: Console, { sha256, by, seen }: About, made: Made): Promise<Labelled> {
  const { config } = await console.settings();
  const said = await console.said.all();
  if (seen !== undefined) {
    const newer = sha256.flatMap((digest) => (said.get(digest) ?? []).slice(seen));
    if (newer.length > 0) {
      const message =
        "Expected that nothing was said of this image since it was shown, found that somebody did. Look at it again; the same verdict then counts after theirs.";
      throw new Refusal(409, "E_DATASET_CONFLICT", message, { said: newer });
    }
  }
  const labels = made(said);
  const before = new Map(sha256.map((digest) => [digest, said.get(digest)?.length ?? 0]));
  const { known } = await console.withLabelTopic((topic) =>
    labelImages(console.store, config.stream, labels, {
      anyClass: false,
      topic,
      said: (digest) => said.get(digest) ?? [],
    }),
  );
  const now = await console.said.all();
  // What stands already is not said again: nothing is there that an undo could take back.
  const isNew = (digest: string): boolean => known === 0 || (now.get(digest)?.length ?? 0) > before.get(digest)!;
  for (const one of labels.filter((label) => isNew(label.sha256))) {
    const what = "class" in one ? `${one.verdict} ${one.class}` : one.verdict;
    console.logAction(`${by ?? console.author}: label ${what} ${one.sha256}`);
  }
  console.held.refresh();
  return {
    labelled: sha256.filter(isNew).length,
    stream: config.stream,
    images: sha256.map((digest) => {
      const list = now.get(digest) ?? [];
      return { sha256: digest, seen: list.length, labels: list.slice(-20) };
    }),
  };
}
