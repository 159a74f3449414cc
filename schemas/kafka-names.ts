/** What each topic beside the images topic is for. */
export const TOPIC_ROLES = [
  "candidates",
  "thresholds",
  "labels",
  "versions",
  "quarantine",
  "store",
  "cursors",
] as const;
export type TopicRole = (typeof TOPIC_ROLES)[number];

/** What a group's members do. */
export type GroupRole = "score" | "replay" | "topk" | "publish" | "labels";

export const DEFAULT_PREFIX = "sluice-";

/** Where a process is at work: all that tells its groups from those of other streams on the same cluster. */
export interface GroupPlace {
  readonly stream: string;
  /** Without a cluster nobody else can be met. */
  readonly kafka?: { readonly prefix: string } | undefined;
}

export function topicName(prefix: string, stream: string, role: TopicRole): string {
  return `${prefix}${stream}-${role}`;
}

/** What the names of a stream's groups of one role begin with. */
export function groupPrefix({ stream, kafka }: GroupPlace, role: GroupRole): string {
  return `${kafka?.prefix ?? DEFAULT_PREFIX}${stream}-${role}`;
}

/** A teacher's group; `labels` is a stream's own, of all teachers. */
export function groupName(place: GroupPlace, role: Exclude<GroupRole, "labels">, teacher: string): string {
  return `${groupPrefix(place, role)}-${teacher.slice(0, 16)}`;
}
