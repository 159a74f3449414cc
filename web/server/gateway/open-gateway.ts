import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { sleepUntil } from "../../../pipelines/flow/sleep-until.js";
import type { Intake } from "../../../pipelines/gateway/intake.js";
import { counted, countText } from "../../../schemas/counted.js";
import { isSluiceError, messageOf, type ErrorCode } from "../../../schemas/errors.js";
import type { Observer } from "../../../schemas/observed.js";
import { admit, assertGuarded, isLoopback, type GuardOptions } from "../guard.js";
import { listening, shownHost } from "../listening.js";
import { Refusal, refusalOf } from "../refusal.js";
import { sendJson } from "../router.js";
import { BodyRoom } from "./body-room.js";
import { Budget } from "./budget.js";
import { bodyKind, imageBytes, sentIn } from "./sent-request.js";
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
/** A body of many that is held back is looked at so often, and refused after so long, ms */
const OPEN_AGAIN_MS = 200;
const HOLD_MS = 60_000;
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
  /** How many the intake had appended when it was asked how many wait */
  #appendedBefore = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#budget = new Budget(options.maxInFlightBytes, options.nowMs);
  }

  /** `onTaken` hears how many images are in the log, also where the request is refused after them. */
  async take(request: IncomingMessage, goOn: () => void, onTaken: (count: number) => void): Promise<GatewayAnswer> {
    const { method, url = "/" } = request;
    if (url.split("?")[0] !== "/images")
      throw new Refusal(404, "E_USAGE", `Expected POST /images, found ${url.slice(0, 200)}.`);
    if (method !== "POST") throw new Refusal(405, "E_USAGE", `Expected POST of /images, found ${method ?? "?"}.`);
    const kind = bodyKind(request);
    const why = await this.#whyNot();
    if (why !== null) throw why;
    const { intake, nowMs } = this.#options;
    const sizeBytes = imageBytes(request, kind, intake.maxImageBytes);
    const first = this.#budget.take(sizeBytes);
    if (first === null) {
      throw new Refusal(
        429,
        "E_GATEWAY_BUSY",
        `Expected room for ${sizeBytes} bytes beside the ${this.#budget.heldBytes} in hand, found that only ${this.#options.maxInFlightBytes} may be (maxInFlightBytes): images that are read or on their way into the log hold the rest. Send it again in a second.`,
      );
    }
    // Of many none is being read yet.
    if (kind !== "image") first.giveBack();
    const sent = new SentTally(intake);
    const mayGoOn = (): Promise<void> => this.#openAgain(sent);
    const options = { budget: this.#budget, imageBytes: sizeBytes, mayGoOn, nowMs };
    const room = new BodyRoom(options, kind === "image" ? first : null);
    try {
      goOn();
      for await (const one of sentIn(request, kind, intake.maxImageBytes, room)) await sent.add(one, room);
      return await sent.answer(kind === "image");
    } catch (error) {
      throw room.refusal ?? error;
    } finally {
      room.end();
      await sent.settled();
      onTaken(sent.taken);
    }
  }

  /** A body of many is not read on while nothing is taken; where that lasts, what is left of it is refused. */
  async #openAgain(sent: SentTally): Promise<void> {
    const { signal, nowMs } = this.#options;
    const sinceMs = nowMs();
    for (;;) {
      const why = await this.#whyNot();
      if (why === null) return;
      if (signal.aborted || nowMs() - sinceMs > HOLD_MS) {
        const { code, message } = why.body.error;
        const before = `Of this request ${counted(sent.taken, "image")} went into the log before. `;
        throw new Refusal(why.status, code, before + message);
      }
      await sleepUntil(OPEN_AGAIN_MS, signal);
    }
  }

  /** Why nothing is taken now: the stream is paused, the gateway ends, or too many wait to be scored; else null. */
  async #whyNot(): Promise<Refusal | null> {
    const { signal, held, mostWaiting } = this.#options;
    if (signal.aborted) return new Refusal(503, "E_GATEWAY_BUSY", "The gateway ends; send it again to the next one.");
    const why = held();
    if (why !== null) return new Refusal(503, "E_GATEWAY_BUSY", why);
    const waiting = await this.#look();
    if (waiting === null || waiting < mostWaiting) return null;
    return new Refusal(
      429,
      "E_GATEWAY_BUSY",
      `Expected fewer than ${counted(mostWaiting, "image")} to wait to be scored (--most-waiting), found ${countText(waiting)}. Send it again later; more engine workers score faster.`,
    );
  }

  /** With what has been appended since it was asked. */
  async #look(): Promise<number | null> {
    const { nowMs, waiting, intake } = this.#options;
    if (nowMs() - this.#lookedMs >= LOOK_MS) {
      this.#lookedMs = nowMs();
      const { appended } = intake;
      this.#waiting = await waiting();
      this.#appendedBefore = appended;
    }
    return this.#waiting === null ? null : this.#waiting + (intake.appended - this.#appendedBefore);
  }
}

/** What a request counts as whose sender went away */
const GONE = 499;
/** How long a sender waits before it tries again, s */
const RETRY_AFTER_S: Readonly<Record<number, number>> = { 408: 1, 429: 1, 503: 5 };

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
const STATUS: Partial<Record<ErrorCode, number>> = {
  E_GATEWAY_KEY: 409,
  E_IMAGE_SIZE: 413,
  E_LOG_RECREATED: 503,
  E_STORE_FULL: 507,
};

function refusedAs(error: unknown): Refusal {
  if (!isSluiceError(error)) return refusalOf(error);
  const isSent = error.code === "E_SOURCE_READ" || isOfTheImage(error);
  const status = STATUS[error.code] ?? (isSent ? 422 : null);
  return status === null ? refusalOf(error) : new Refusal(status, error.code, error.message);
}
