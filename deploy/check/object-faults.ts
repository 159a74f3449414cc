import { isDeepStrictEqual } from "node:util";
import type { Rendered } from "./chart-calls.js";

/** Letters that a name may have: those of a CronJob's jobs have eleven more. */
const MOST_LETTERS = 63;
const MOST_LETTERS_CRON = 52;

type Members = Readonly<Record<string, unknown>>;

/** What schemas do not say of the objects of one release, a line each: names, who is let in, what a pod may and mounts, the alerts. */
export function objectFaults(objects: readonly Rendered[], place: string, alerts: unknown): string[] {
  const faults: string[] = [];
  const named = new Set<string>();
  for (const object of objects) {
    const { kind } = object;
    const name: unknown = object.metadata.name;
    const fault = (text: string): void => void faults.push(`${place} ${kind} ${String(name)}: ${text}`);
    if (named.has(`${kind} ${String(name)}`)) fault("another object has its name");
    named.add(`${kind} ${String(name)}`);
    const most = kind === "CronJob" ? MOST_LETTERS_CRON : MOST_LETTERS;
    if (typeof name !== "string") fault("its name is no text");
    else if (name.length > most) fault(`its name has ${name.length} letters, and may have ${most}`);
    for (const text of unquoted(object)) fault(text);
    if (kind === "NetworkPolicy") for (const text of openRules(object["spec"] as Members)) fault(text);
    const template = podTemplate(object);
    if (template !== null) for (const text of podFaults(template)) fault(text);
    if (kind === "PrometheusRule" && !isDeepStrictEqual(object["spec"], alerts))
      fault("its rules are not those of deploy/prometheus/alerts.yaml");
  }
  return faults;
}

/** Labels and annotations that YAML reads as something else than text, anywhere below. */
function unquoted(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([member, inner]) => {
    const isTexts = ["labels", "annotations", "matchLabels", "nodeSelector"].includes(member);
    if (!isTexts || typeof inner !== "object" || inner === null) return unquoted(inner);
    return Object.entries(inner as Members).flatMap(([key, text]) =>
      typeof text === "string" ? [] : [`${member} ${key} is no text: ${JSON.stringify(text)}`],
    );
  });
}

/** Kubernetes takes an empty list of peers or ports for all of them. */
function openRules(spec: Members): string[] {
  const rules = ["ingress", "egress"].flatMap((way) =>
    ((spec[way] ?? []) as Members[]).map((rule) => [way, rule] as const),
  );
  return rules.flatMap(([way, rule]) => {
    const isEmpty = (member: string): boolean => ((rule[member] ?? []) as unknown[]).length === 0;
    const peers = way === "ingress" && isEmpty("from") ? [`an ${way} rule lets in everybody`] : [];
    return [...peers, ...(isEmpty("ports") ? [`an ${way} rule is of every port`] : [])];
  });
}

function podTemplate(object: Rendered): Members | null {
  const spec = (object["spec"] ?? {}) as Members;
  const holder = object.kind === "CronJob" ? ((spec["jobTemplate"] as Members)["spec"] as Members) : spec;
  return ((holder["template"] as Members | undefined)?.["spec"] as Members | undefined) ?? null;
}

function podFaults(pod: Members): string[] {
  const faults: string[] = [];
  // Variables of a service that is called sluice-… would be read as settings.
  if (pod["enableServiceLinks"] !== false) faults.push("its pods are told of services by variables");
  if (pod["automountServiceAccountToken"] !== false) faults.push("its pods have a token of the API");
  if ((pod["securityContext"] as Members | undefined)?.["runAsNonRoot"] !== true) faults.push("its pods may be root");
  const volumes = new Set((pod["volumes"] as readonly { name: string }[]).map(({ name }) => name));
  for (const container of pod["containers"] as Members[]) {
    if ((container["securityContext"] as Members | undefined)?.["readOnlyRootFilesystem"] !== true)
      faults.push("its root file system can be written to");
    const mounts = container["volumeMounts"] as readonly { name: string; mountPath: string }[];
    for (const { name } of mounts) if (!volumes.has(name)) faults.push(`it mounts ${name}, which is no volume`);
    const paths = mounts.map(({ mountPath }) => mountPath);
    for (const path of new Set(paths.filter((one, at) => paths.indexOf(one) !== at)))
      faults.push(`two volumes are mounted at ${path}`);
  }
  return faults;
}
