import { parseAllDocuments } from "yaml";
import { z } from "zod";
import type { DeployedCall } from "./deployed-call.js";

const probeSchema = z.looseObject({ httpGet: z.object({ path: z.string(), port: z.union([z.string(), z.number()]) }) });

const containerSchema = z.looseObject({
  name: z.string(),
  args: z.array(z.string()),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })).default([]),
  ports: z.array(z.looseObject({ name: z.string(), containerPort: z.number() })).default([]),
  livenessProbe: probeSchema.optional(),
  readinessProbe: probeSchema.optional(),
  startupProbe: probeSchema.optional(),
});

/** A rendered Kubernetes object, as far as one looks at it here */
export interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly [member: string]: unknown;
}

export function renderedObjects(text: string): Rendered[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null);
}

/** The calls of sluice that rendered manifests make, in deployments, jobs and cron jobs. */
export function chartCalls(objects: readonly Rendered[], place: string): DeployedCall[] {
  return objects.flatMap((object) =>
    containersOf(object).map((found): DeployedCall => {
      const container = containerSchema.parse(found);
      const probes = [container.livenessProbe, container.readinessProbe, container.startupProbe].flatMap((probe) =>
        probe === undefined ? [] : [probe.httpGet],
      );
      const portOf = (name: string): number[] =>
        container.ports.filter((port) => port.name === name).map(({ containerPort }) => containerPort);
      const probed = probes.flatMap(({ port }) => (typeof port === "number" ? [port] : portOf(port)));
      return {
        place: `${place} ${object.kind} ${object.metadata.name}`,
        args: container.args,
        environment: Object.fromEntries(container.env.map(({ name, value }) => [name, value ?? "of a secret"])),
        ports: { metrics: [...portOf("metrics"), ...probed], console: portOf("http") },
        paths: probes.map(({ path }) => path),
      };
    }),
  );
}

interface PodHolder {
  readonly spec?: { readonly template?: { readonly spec?: { readonly containers?: readonly unknown[] } } };
}

function containersOf(object: Rendered): readonly unknown[] {
  const holder = (
    object.kind === "CronJob" ? (object["spec"] as { jobTemplate: PodHolder }).jobTemplate : object
  ) as PodHolder;
  return holder.spec?.template?.spec?.containers ?? [];
}
