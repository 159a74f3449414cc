import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Intake } from "../../../pipelines/gateway/intake.js";
import { counted, countText } from "../../../schemas/counted.js";
import { isSluiceError, messageOf, type ErrorCode } from "../../../schemas/errors.js";
import type { Observer } from "../../../schemas/observed.js";
import { admit, assertGuarded, isLoopback, type GuardOptions } from "../guard.js";
import { listening, shownHost } from "../listening.js";
import { Refusal, refusalOf } from "../refusal.js";
import { sendJson } from "../router.js";
import { Budget } from "./budget.js";
import { bodyKind, heldBytes, sentIn } from "./sent-request.js";
import { isOfTheImage, SentTally, type GatewayAnswer } from "./sent-tally.js";

export interface GatewayOptions extends Omit<GuardOptions, "command"> {
  /** 0: any that is free */
  readonly port: number;
  readonly intake: Intake;
  /** Bytes that requests may have in hand together */
  readonly maxInFlightBytes: number;
  /** How many images may wait to be scored, where that is known */
  readonly mostWaiting: number;
  readonly waiting: () => Promise<number | null>;
  /** Why nothing is taken just now, such as a pause; null where it is */
  readonly held: () => string | null;
  readonly observer?: Observer | undefined;
  readonly onFault: (message: string) => void;
  readonly nowMs: () => number;
  /** What is under way is still answered */
  readonly signal: AbortSignal;
}

export interface Gateway {
  readonly url: string;
  readonly port: number;
  /** Ends after the signal, when what was under way is answered */
  readonly ended: Promise<void>;
}

/** How many images wait is asked this often at most, ms */
const LOOK_MS = 2000;
/** An answer waits for a log that is away; a sender that is silent for longer is gone, ms */
const IDLE_MS = 180_000;
const END_MS = 10_000;
const PASS_MS = 1000;

/** Takes images by HTTP until the signal aborts. Throws E_USAGE where it would be open to others, or the port is taken. */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const guard = { ...options, command: "gateway" as const };
  assertGuarded(guard);
  const { host, signal, observer, nowMs } = options;
  const door = new Door(options);
  const answer = async (request: IncomingMessage, response: ServerResponse, isAsking: boolean): Promise<void> => {
    const startMs = nowMs();
    let taken = 0;
    try {
      admit(request, guard);
      const goOn = (): void => {
        if (isAsking) response.writeContinue();
      };
      const made = await door.take(request, goOn, (count) => (taken = count));
      sendJson(response, made.status, made.body);
    } catch (error) {
      await refuse(request, response, error, options);
    }
    observer?.take({ event: "images.sent", status: response.statusCode, taken, tookMs: nowMs() - startMs });
  };
  const server = createServer((request, response) => void answer(request, response, false));
  // A sender that asks first sends nothing that is refused.
  server.on("checkContinue", (request, response) => void answer(request, response, true));
  server.headersTimeout = 10_000;
  server.requestTimeout = 0;
  server.timeout = IDLE_MS;
  const port = await listening(server, host, options.port);
  const ended = (async () => {
    if (!signal.aborted) await once(signal, "abort");
    const closed = new Promise<void>((done) =>
      server.close(() => {
        done();
      }),
    );
    server.closeIdleConnections();
    const late = setTimeout(() => {
      server.closeAllConnections();
    }, END_MS);
    await closed;
    clearTimeout(late);
  })();
  return { url: `http://${shownHost(host, isLoopback(host))}:${port}/images`, port, ended };
}

/** Lets in as many requests as there is room for. */
class Door {
  readonly #options: GatewayOptions;
  readonly #budget: Budget;
  #waiting: number | null = null;
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#budget = new Budget(options.maxInFlightBytes);
  }

  /** `onTaken` hears how many images are in the log, also where the request is refused after them. */
  async take(request: IncomingMessage, goOn: () => void, onTaken: (count: number) => void): Promise<GatewayAnswer> {
    const { method, url = "/" } = request;
    if (url.split("?")[0] !== "/images")
      throw new Refusal(404, "E_USAGE", `Expected POST /images, found ${url.slice(0, 200)}.`);
    if (method !== "POST") throw new Refusal(405, "E_USAGE", `Expected POST of /images, found ${method ?? "?"}.`);
    const kind = bodyKind(request);
    await this.#assertOpen();
    const { intake } = this.#options;
    const sizeBytes = heldBytes(request, kind, intake.maxImageBytes);
    const giveBack = this.#budget.take(sizeBytes);
    if (giveBack === null) {
      throw new Refusal(
        429,
        "E_GATEWAY_BUSY",
        `Expected room for ${sizeBytes} bytes beside the ${this.#budget.heldBytes} in hand, found that only ${this.#options.maxInFlightBytes} may be (maxInFlightBytes): other requests hold the rest, each of many images as much as two of the largest (decode.maxBytes), until it is answered. Send it again in a second.`,
      );
    }
    const sent = new SentTally(intake);
    try {
      goOn();
      for await (const one of sentIn(request, kind, intake.maxImageBytes)) await sent.add(one);
      return await sent.answer(kind === "image");
    } finally {
      await sent.settled();
      onTaken(sent.taken);
      giveBack();
    }
  }

  /** Throws a refusal while nothing is taken: the stream is paused, the gateway ends, or too many wait to be scored. */
  async #assertOpen(): Promise<void> {
    const { signal, held, mostWaiting } = this.#options;
    if (signal.aborted) throw new Refusal(503, "E_GATEWAY_BUSY", "The gateway ends; send it again to the next one.");
    const why = held();
    if (why !== null) throw new Refusal(503, "E_GATEWAY_BUSY", why);
    await this.#look();
    if (this.#waiting === null || this.#waiting < mostWaiting) return;
    throw new Refusal(
      429,
      "E_GATEWAY_BUSY",
      `Expected fewer than ${counted(mostWaiting, "image")} to wait to be scored (--most-waiting), found ${countText(this.#waiting)}. Send it again later; more engine workers score faster.`,
    );
  }

  async #look(): Promise<void> {
    const { nowMs, waiting } = this.#options;
    if (nowMs() - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = nowMs();
    this.#waiting = await waiting();
  }
}

/** What a request counts as whose sender went away */
const GONE = 499;
/** How long a sender waits before it tries again, s */
const RETRY_AFTER_S: Readonly<Record<number, number>> = { 429: 1, 503: 5 };

async function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  { onFault }: Pick<GatewayOptions, "onFault">,
): Promise<void> {
  // Nobody is there to be answered.
  if (request.destroyed && !request.complete) {
    response.statusCode = GONE;
    response.destroy();
    return;
  }
  const { status, body } = refusedAs(error);
  if (status >= 500 && !(error instanceof Refusal))
    onFault(`${request.method ?? ""} ${request.url ?? ""}: ${messageOf(error)}`);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const waitS = RETRY_AFTER_S[status];
  if (waitS !== undefined) response.setHeader("Retry-After", String(waitS));
  if (status === 405) response.setHeader("Allow", "POST");
  if (!request.complete) {
    response.setHeader("Connection", "close");
    await passed(request);
  }
  sendJson(response, status, body);
}

/** A sender that is still sending may not see an answer to a connection that is closed: what is left is read for a moment, and dropped. */
async function passed(request: IncomingMessage): Promise<void> {
  await new Promise<void>((resolve) => {
    const late = setTimeout(resolve, PASS_MS);
    request.once("close", resolve).once("end", resolve).resume();
    request.once("end", () => {
      clearTimeout(late);
    });
  });
}

/** What is wrong with what was sent, and with this machine */
const STATUS: Partial<Record<ErrorCode, number>> = { E_GATEWAY_KEY: 409, E_IMAGE_SIZE: 413, E_STORE_FULL: 507 };

function refusedAs(error: unknown): Refusal {
  if (!isSluiceError(error)) return refusalOf(error);
  const isSent = error.code === "E_SOURCE_READ" || isOfTheImage(error);
  const status = STATUS[error.code] ?? (isSent ? 422 : null);
  return status === null ? refusalOf(error) : new Refusal(status, error.code, error.message);
}
