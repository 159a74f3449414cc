import type { Store } from "../../connectors/store/store.js";
import { appendStream } from "../../operators/version/declarations.js";
import { DECLARATION_VERSION, type DeclaredTeacher, type StreamSettings } from "../../schemas/declaration.js";
import { SluiceError } from "../../schemas/errors.js";
import { readDeclarations } from "../open/declare.js";

/** Former teachers that are remembered */
const MOST_FORMER = 20;

/** Which teachers a stream has by what is declared of it. */
export interface StreamTeachers {
  readonly stands: DeclaredTeacher | null;
  /** Is to follow it */
  readonly next: DeclaredTeacher | null;
  /** The newest last */
  readonly former: readonly DeclaredTeacher[];
}

export interface ChangeBy {
  /** The command, for the record */
  readonly by: string;
  readonly nowMs: number;
}

export async function streamTeachers(store: Store, stream: string): Promise<StreamTeachers> {
  const { settings } = await readDeclarations(store, stream);
  return { stands: settings?.teacher ?? null, next: settings?.next ?? null, former: settings?.former ?? [] };
}

/**
 * Says that a teacher is to follow the one that stands: from here on those who score do so with both. Said again it changes nothing.
 * `over`: the digest of the teacher that it was found better than. Throws E_TEACHER_CHANGE where nothing stands yet, another one than `over` does, or
 * another one is to follow.
 */
export async function announceTeacher(
  store: Store,
  stream: string,
  next: DeclaredTeacher,
  { over, ...by }: ChangeBy & { readonly over?: string | undefined },
): Promise<void> {
  await change(store, stream, by, (settings) => {
    if (settings.teacher?.digest === next.digest && settings.next === undefined) return null;
    if (settings.next?.digest === next.digest) return null;
    if (over !== undefined && settings.teacher!.digest !== over) {
      throw new SluiceError(
        "E_TEACHER_CHANGE",
        `Expected that teacher ${over.slice(0, 12)} stands, which ${named(next)} was compared with, found ${named(settings.teacher!)}. Compare it with that one (\`sluice teacher promote ${next.digest.slice(0, 12)} --test test/\`).`,
        { stands: settings.teacher!.digest },
      );
    }
    if (settings.next !== undefined) {
      throw new SluiceError(
        "E_TEACHER_CHANGE",
        `Expected no other change of teacher under way, found that ${named(settings.next)} is to follow ${named(settings.teacher!)}. Wait for it (\`sluice teacher list\`), or take it back (\`sluice teacher rollback\`).`,
        { next: settings.next.digest },
      );
    }
    return { ...settings, next };
  });
}

/** Makes the teacher that is to follow the one that stands. Nothing where it stands already; false where it is not to follow any more. */
export async function instateTeacher(store: Store, stream: string, digest: string, by: ChangeBy): Promise<boolean> {
  let stands = false;
  await change(store, stream, by, ({ next, ...settings }) => {
    stands = settings.teacher?.digest === digest || next?.digest === digest;
    if (next?.digest !== digest || settings.teacher === null) return null;
    const former = [...(settings.former ?? []), settings.teacher].filter((one) => one.digest !== digest);
    return { ...settings, teacher: next, former: former.slice(-MOST_FORMER) };
  });
  return stands;
}

/** The teacher that stands goes on alone, at once. Returns the one that was to follow; null where there was none. */
export async function withdrawTeacher(store: Store, stream: string, by: ChangeBy): Promise<DeclaredTeacher | null> {
  let withdrawn: DeclaredTeacher | null = null;
  await change(store, stream, by, ({ next, ...settings }) => {
    withdrawn = next ?? null;
    return next === undefined ? null : settings;
  });
  return withdrawn;
}

/** Appends what `to` makes of what is declared; asked again where another process has declared something meanwhile. */
async function change(
  store: Store,
  stream: string,
  { by, nowMs }: ChangeBy,
  to: (settings: StreamSettings) => StreamSettings | null,
): Promise<void> {
  for (;;) {
    const { settings, revision } = await readDeclarations(store, stream);
    if (settings?.teacher == null) {
      throw new SluiceError(
        "E_TEACHER_CHANGE",
        `Expected a teacher that stands on stream ${stream}, found none. The first one is declared by \`sluice ingest photographs/ --teacher model.onnx\`.`,
      );
    }
    const changed = to(settings);
    if (changed === null) return;
    const at = new Date(nowMs).toISOString();
    const declaration = { schemaVersion: DECLARATION_VERSION, at, by, settings: changed } as const;
    if ((await appendStream(store, stream, revision, declaration)) === "created") return;
  }
}

export function named({ name, digest }: Pick<DeclaredTeacher, "name" | "digest">): string {
  return `${name} (${digest.slice(0, 12)})`;
}
