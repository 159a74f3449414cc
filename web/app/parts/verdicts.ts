import type { Labelled } from "../../../schemas/api/images.ts";
import type { ImageLabel } from "../../../schemas/image-label.ts";
import { CallError, post } from "../calls.ts";
import { noteChange } from "../live.ts";

export type Verdict = "is" | "not" | "none" | "duplicate";

/** Whose name stands on what is said: kept in this browser; null takes the server's. */
const AUTHOR = "sluice-author";

export function author(): string | null {
  return window.localStorage.getItem(AUTHOR);
}

export function setAuthor(name: string): void {
  if (name.trim() === "") window.localStorage.removeItem(AUTHOR);
  else window.localStorage.setItem(AUTHOR, name.trim());
}

export interface Said {
  readonly sha256: string;
  readonly text: string;
  readonly seen: number;
  /** Whether something is there to take back: it is not where the same was said already */
  readonly isNew: boolean;
}

const byWhom = (): { readonly by?: string } => {
  const by = author();
  return by === null ? {} : { by };
};

const VERDICT_TEXT = { is: "is", not: "is not", none: "is of no class", duplicate: "is a duplicate" } as const;

/** Says it of an image of a class. `seen`: how often something had been said of it when it was shown. */
export async function say(
  verdict: Verdict,
  image: { readonly sha256: string; readonly seen: number },
  label: string,
): Promise<Said> {
  const { sha256, seen } = image;
  const about = isOfClass(verdict) ? { verdict, class: label } : { verdict };
  const { images, labelled } = await post<Labelled>("/api/labels", { ...about, sha256: [sha256], seen, ...byWhom() });
  noteChange();
  const text = `${VERDICT_TEXT[verdict]}${isOfClass(verdict) ? ` ${label}` : ""}`;
  const isNew = labelled > 0;
  return { sha256, text: isNew ? text : `${text}, as was said already`, seen: images[0]?.seen ?? seen + 1, isNew };
}

function isOfClass(verdict: Verdict): verdict is "is" | "not" {
  return verdict === "is" || verdict === "not";
}

export async function takeBack({ sha256, seen }: Said): Promise<void> {
  await post<Labelled>("/api/labels/undo", { sha256, seen, ...byWhom() });
  noteChange();
}

/** Why a verdict was not taken, as a sentence: what somebody else said meanwhile, or the error's own. */
export function failureText(error: unknown): string {
  if (!(error instanceof CallError) || error.status !== 409)
    return error instanceof Error ? error.message : String(error);
  const last = error.said.at(-1) as ImageLabel | undefined;
  return last === undefined
    ? error.message
    : `${saidText(last)} meanwhile. Look again; the same key then counts after that.`;
}

export function saidText(label: ImageLabel): string {
  const who = label.by ?? "Somebody";
  if (label.verdict === "is") return `${who} said: is ${label.class}`;
  if (label.verdict === "not") return `${who} said: is not ${label.class}`;
  if (label.verdict === "duplicate") return `${who} said: a duplicate`;
  return label.verdict === "none" ? `${who} said: of no class` : `${who} withdrew what was said`;
}

/** The verdict that a key stands for. */
export function verdictOf(key: string): Verdict | null {
  const verdicts: Readonly<Record<string, Verdict>> = { 1: "is", 2: "not", 3: "none", d: "duplicate", D: "duplicate" };
  return verdicts[key] ?? null;
}
