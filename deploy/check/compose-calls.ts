import { parse } from "yaml";
import { z } from "zod";
import type { DeployedCall } from "./deployed-call.js";

const serviceSchema = z.looseObject({
  image: z.string(),
  command: z.union([z.string(), z.array(z.string())]).optional(),
  environment: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  ports: z.array(z.string()).optional(),
  healthcheck: z.looseObject({ test: z.array(z.string()).optional() }).optional(),
});

const composeSchema = z.looseObject({ services: z.record(z.string(), serviceSchema) });

/** The calls of sluice that a compose file makes: services that run the image `sluice`. */
export function composeCalls(text: string, file: string): DeployedCall[] {
  const { services } = composeSchema.parse(parse(text, { merge: true }));
  return Object.entries(services)
    .filter(([, { image }]) => image === "sluice")
    .map(([name, service]) => {
      const probe = service.healthcheck?.test?.join(" ") ?? "";
      const probed = /http:\/\/127\.0\.0\.1:(\d+)(\/[a-z/]*)/.exec(probe);
      return {
        place: `${file} ${name}`,
        args: typeof service.command === "string" ? service.command.split(" ") : (service.command ?? []),
        environment: Object.fromEntries(
          Object.entries(service.environment ?? {}).map(([variable, value]) => [variable, String(value)]),
        ),
        ports: {
          ...(probed === null ? {} : { metrics: [Number(probed[1])] }),
          ...(service.ports === undefined
            ? {}
            : { console: service.ports.map((port) => Number(port.split(":").at(-1))) }),
        },
        paths: probed === null ? [] : [probed[2]!],
      };
    });
}
