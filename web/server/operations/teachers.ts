import { listTeachers } from "../../../pipelines/console/listed-teachers.js";
import { z } from "zod";
import { archivedTeacher } from "../../../pipelines/rebuild.js";
import type { ChangedImage, ComparedClass } from "../../../pipelines/teachers/compare-teachers.js";
import { fetchedModelFolder } from "../../../pipelines/open/open-scoring.js";
import { announceTeacher, named, streamTeachers, withdrawTeacher } from "../../../pipelines/teachers/change-teacher.js";
import { fetchModel, storedModel } from "../../../pipelines/teachers/stored-models.js";
import { publishedDatasets } from "../../../pipelines/versions/versions.js";
import { MOST_PAGE, numberText, sha256Text } from "../../../schemas/api/shared.js";
import {
  teacherChangeBody,
  teacherChangeSchema,
  teacherComparisonSchema,
  teacherListSchema,
  type ListedGeneration,
} from "../../../schemas/api/teachers.js";
import { assertMayWrite, type Console } from "../console.js";
import { answering } from "../operation.js";
import { Refusal } from "../refusal.js";
import { remember } from "./versions.js";

export const teachers = answering(
  {
    route: "/api/teachers",
    summary:
      "teachers and stored models: cards, what they were trained from, how they did on test images, what they scored, versions made by them, and how right people found those; and the loop's generations",
    answer: teacherListSchema,
  },
  async ({ console }) => {
    const { config } = await console.settings();
    const { store, drawn } = console;
    const listed = await listTeachers({ store, drawn, stream: config.stream }, await console.said.all());
    return { teachers: listed, generations: await generationsOf(console) };
  },
);

/** As `sluice loop --json` told of them, the newest last. */
async function generationsOf({ store, settings }: Console): Promise<ListedGeneration[]> {
  // What trains is loaded with it.
  const { finishedGenerations } = await import("../../../pipelines/loop.js");
  const { config } = await settings();
  const names = new Set([...config.datasets.map(({ name }) => name), ...(await publishedDatasets(store))]);
  const listed: ListedGeneration[] = [];
  for (const dataset of names) {
    for (const { number, version, model, verdict, outcome } of await finishedGenerations(store, dataset)) {
      const { accuracy, teacherAccuracy, low, high, passes } = verdict;
      listed.push({
        dataset,
        number,
        version: version.number,
        model: model.model,
        name: model.name,
        accuracy,
        teacherAccuracy,
        low,
        high,
        passes,
        promoted: outcome.promoted,
        at: outcome.at,
      });
    }
  }
  return listed;
}

export const compare = answering(
  {
    route: "/api/teachers/{digest}/compare",
    summary:
      "how differently a teacher sees what the one that stands has scored too, as `sluice teacher compare`: class by class, with images of what came and went",
    path: { digest: sha256Text.describe("the other teacher's digest") },
    query: {
      limit: numberText(z.int().positive().max(MOST_PAGE)).default(50).describe("classes, those that changed most"),
    },
    answer: teacherComparisonSchema,
  },
  async ({ console, path, query }) => {
    const { declared, config } = await console.settings();
    const stands = await archivedTeacher(console.store, "", declared.settings?.teacher ?? null);
    if (path.digest === stands.digest) {
      const message = `Expected a teacher that has scored beside ${stands.card.name}, found that one itself. \`sluice teacher shadow\` scores with another.`;
      throw new Refusal(404, "E_TEACHER_CARD", message, { field: "digest" });
    }
    const { card } = await archivedTeacher(console.store, path.digest);
    const { labels } = stands.card;
    if (card.labels.length !== labels.length) {
      const message = `Expected two teachers of ${labels.length} classes, found ${card.labels.length} of ${card.name}: they cannot be compared class by class.`;
      throw new Refusal(409, "E_TEACHER_LABELS", message);
    }
    const pair = { first: stands.digest, second: path.digest, classCount: labels.length };
    const { found, done } = await console.compared.of(pair);
    const pending = found === null ? { pending: true as const, what: "comparing", done, total: null } : null;
    const classes = (found?.classes ?? [])
      .map((one, at) => ({ class: at, label: labels[at]!, ...one }))
      .sort((a, b) => changedOf(b) - changedOf(a) || a.class - b.class)
      .slice(0, query.limit);
    for (const { came, went } of classes)
      remember(
        console,
        [...came, ...went].map((one) => ({ ...one, bytes: "" })),
      );
    const named = ({ sha256, probability, other }: ChangedImage) => {
      return { sha256, probability, other: labels[other] ?? String(other) };
    };
    return {
      stream: config.stream,
      first: { digest: stands.digest, name: stands.card.name },
      second: { digest: path.digest, name: card.name },
      both: found?.both ?? 0,
      same: found?.same ?? 0,
      changed: (found?.classes ?? []).filter((one) => changedOf(one) > 0).length,
      classes: classes.map((one) => ({ ...one, came: one.came.map(named), went: one.went.map(named) })),
      pending,
    };
  },
);

/** Images that only one of the two takes for it */
function changedOf({ first, second, both }: Pick<ComparedClass, "first" | "second" | "both">): number {
  return first + second - 2 * both;
}

export const promote = answering(
  {
    route: "/api/teachers/{digest}/promote",
    summary:
      "says that a stored model which passed the gate against the teacher that stands is to take its place: those who score do so with both, until it stands, as `sluice teacher promote`",
    path: { digest: sha256Text.describe("the model's digest") },
    body: teacherChangeBody,
    answer: teacherChangeSchema,
  },
  async ({ console, path, body }) => {
    assertMayWrite(console);
    const { config } = await console.settings();
    const { stands } = await seenStanding(console, body.seen);
    const model = await storedModel(console.store, path.digest);
    if (model === null) {
      const message = `Expected a model that lies in the store, found none of digest ${path.digest.slice(0, 12)}. \`sluice teacher list\` names them.`;
      throw new Refusal(404, "E_TEACHER_CARD", message, { field: "digest" });
    }
    const { evaluation } = model;
    const isCompared = evaluation !== null && evaluation.teacher?.digest === stands?.digest;
    if (!isCompared || evaluation.verdict?.passes !== true) {
      const found = isCompared
        ? `one that does not: ${evaluation.verdict?.reasons.join(" ") ?? ""}`
        : "that it was never compared with the one that stands";
      const message = `Expected a model that passes the gate, found ${found}. \`sluice teacher promote\` tries it on test images (--test), or goes by no gate (--force).`;
      throw new Refusal(409, "E_TEACHER_CHANGE", message);
    }
    const by = body.by ?? console.author;
    const folder = fetchedModelFolder(config.data, path.digest);
    const next = {
      path: await fetchModel(console.store, path.digest, folder),
      digest: path.digest,
      name: model.card.name,
    };
    await announceTeacher(console.store, config.stream, next, { by: `console: ${by}`, nowMs: console.nowMs() });
    console.logAction(`${by}: promote ${named(next)}`);
    const now = await streamTeachers(console.store, config.stream);
    return { stands: now.stands?.digest ?? null, next: now.next?.digest ?? null, path: next.path };
  },
);

export const withdraw = answering(
  {
    route: "/api/teachers/withdraw",
    summary: "takes back that another teacher is to stand: the one that stands goes on alone",
    body: teacherChangeBody,
    answer: teacherChangeSchema,
  },
  async ({ console, body }) => {
    assertMayWrite(console);
    const { config } = await console.settings();
    await seenStanding(console, body.seen);
    const by = body.by ?? console.author;
    const at = { by: `console: ${by}`, nowMs: console.nowMs() };
    const withdrawn = await withdrawTeacher(console.store, config.stream, at);
    if (withdrawn !== null) console.logAction(`${by}: withdraw ${named(withdrawn)}`);
    const now = await streamTeachers(console.store, config.stream);
    return { stands: now.stands?.digest ?? null, next: now.next?.digest ?? null, path: null };
  },
);

/** Throws 409 where another teacher stands than the one that the caller has seen. */
async function seenStanding(
  { store, settings }: Console,
  seen: string | undefined,
): Promise<Awaited<ReturnType<typeof streamTeachers>>> {
  const { config } = await settings();
  const now = await streamTeachers(store, config.stream);
  if (seen === undefined || now.stands?.digest === seen) return now;
  const message = `Expected that teacher ${seen.slice(0, 12)} stands, found ${now.stands === null ? "none" : named(now.stands)}. Look at that one first.`;
  throw new Refusal(409, "E_TEACHER_CHANGE", message, { field: "seen" });
}
