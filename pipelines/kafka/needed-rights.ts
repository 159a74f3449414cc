import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import { SluiceError } from "../../schemas/errors.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { groupPrefix, type GroupRole } from "../../schemas/kafka-names.js";
import { rightsOf, rightText, type KafkaRight, type KafkaRole } from "../../schemas/kafka-rights.js";

/** What one process does, and where. */
export interface NeededRights {
  readonly roles: readonly KafkaRole[];
  readonly stream: string;
  readonly kafka: Pick<KafkaConfig, "prefix" | "topics">;
  /** Of the teacher whose groups it joins; absent: it is not known yet, and groups are not asked about */
  readonly teacher?: string | undefined;
}

const TEACHERS_GROUPS: readonly GroupRole[] = ["score", "replay", "topk", "publish"];

/** The rights as brokers can be asked about them: on each topic, and on the groups of one teacher. */
export function askedRights({ roles, teacher, ...place }: NeededRights): KafkaRight[] {
  const all = new Map<string, KafkaRight>();
  for (const right of roles.flatMap((role) => rightsOf(role, place))) {
    const asked = right.pattern === "literal" ? right : ofTeacher(right, teacher, place);
    if (asked !== null) all.set(rightText(asked), asked);
  }
  return [...all.values()];
}

function ofTeacher(
  right: KafkaRight,
  teacher: string | undefined,
  place: Pick<NeededRights, "stream" | "kafka">,
): KafkaRight | null {
  if (teacher === undefined) return null;
  const role = TEACHERS_GROUPS.find((one) => right.name === `${groupPrefix(place, one)}-`);
  // Of other teachers' groups, which a replay waits for, brokers show those that it may see.
  if (role === undefined || right.operation === "Describe") return null;
  return { ...right, name: `${right.name}${teacher.slice(0, 16)}`, pattern: "literal" };
}

/** Throws E_LOG_ACCESS that names every right that is missing. */
export async function assertRights(log: Pick<KafkaLog, "lacking">, needed: NeededRights): Promise<void> {
  const missing = await log.lacking(askedRights(needed));
  if (missing.length > 0) throw lackingFailure(missing, needed.roles);
}

function lackingFailure(missing: readonly KafkaRight[], roles: readonly KafkaRole[]): SluiceError {
  const named = missing.map(rightText);
  const hints = roles.map((role) => `\`sluice topics acls --role ${role}\``).join(" and ");
  return new SluiceError(
    "E_LOG_ACCESS",
    `Expected the cluster to allow all that a ${roles.join(" and ")} does, found that ${named.join(", ")} ${named.length === 1 ? "is" : "are"} missing. Nothing was done. ` +
      `${hints} prints what to allow.`,
    { missing: named, roles: [...roles] },
  );
}
