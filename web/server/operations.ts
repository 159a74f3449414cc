import { z } from "zod";
import { openApi } from "./open-api.js";
import { answering, streaming, type Operation } from "./operation.js";
import type { EventStreams } from "./events.js";
import { Refusal } from "./refusal.js";
import { life, original, picture, search } from "./operations/images.js";
import { control } from "./operations/control.js";
import { label, labels, undo } from "./operations/labels.js";
import { publish } from "./operations/publish.js";
import { retry, review } from "./operations/review.js";
import { compare, promote, teachers, withdraw } from "./operations/teachers.js";
import { flow, kept, overview, status } from "./operations/overview.js";
import { classes, classRows, diff, diffRows, rows, tags, verify, version, versions } from "./operations/versions.js";
import { facets, wall } from "./operations/walls.js";
import { curve, whatif, whatifRows } from "./operations/whatif.js";

/** All that the server answers, in the order of its document. */
export function consoleOperations(events: EventStreams): Operation[] {
  let stopWatching: (() => void) | null = null;
  const listed: Operation[] = [
    overview,
    status,
    flow,
    kept,
    teachers,
    compare,
    versions,
    tags,
    version,
    classes,
    classRows,
    rows,
    verify,
    diff,
    diffRows,
    wall,
    facets,
    whatif,
    curve,
    whatifRows,
    life,
    picture,
    original,
    search,
    review,
    retry,
    labels,
    label,
    undo,
    control,
    publish,
    promote,
    withdraw,
    streaming(
      {
        route: "/api/events",
        summary: "server-sent events: `live` every second, `read` where a ranking was read",
        types: ["text/event-stream"],
      },
      ({ console, response }) => {
        if (!events.add(response)) {
          throw new Refusal(503, "E_USAGE", "Expected at most 200 pages that watch at once, found more. Close some.");
        }
        // One look and one text for all pages that watch.
        stopWatching ??= console.live.watch((live) => {
          events.send("live", live);
        });
        response.on("close", () => {
          if (events.count > 0) return;
          stopWatching?.();
          stopWatching = null;
        });
        return console.live.look().then((live) => {
          events.sendTo(response, "live", live);
        });
      },
    ),
  ];
  const document: Operation = answering(
    {
      route: "/api/openapi.json",
      summary: "this document: OpenAPI 3.1",
      answer: z.looseObject({ openapi: z.string() }),
    },
    () => Promise.resolve(openApi([...listed, document]) as { openapi: string }),
  );
  return [...listed, document];
}
