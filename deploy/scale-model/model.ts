/**
 * Sluice as a line of stations, each with a number of servers and a time that an image takes there. Throughput is that of the station that is full
 * first; what waits is by Sakasegawa's form of Erlang's C for exponential times. Source: Sakasegawa 1977; Hopp and Spearman, Factory Physics, 8.6.
 */

/** What was measured. Seconds are of one core, thread or device; what is shared by a segment is of the segment. */
export interface UnitCosts {
  /** Fetching and decoding an image, on a core */
  readonly decodeS: number;
  /** Scoring an image, on an engine worker or a GPU, in full batches */
  readonly scoreS: number;
  /** What the scorer's main thread does for an image: reading, hashing, ranking, archiving */
  readonly archiveS: number;
  /** What a segment takes beside its images, on the main thread */
  readonly segmentS: number;
  /** A candidate row, in a top-K worker; and a message of them */
  readonly candidateS: number;
  readonly messageS: number;
  /** A segment, in the publisher, which follows every chain */
  readonly followS: number;
  readonly imageBytes: number;
  /** Of an image's archived scores */
  readonly rowBytes: number;
  /** Of an image's candidates, all shards together */
  readonly candidateBytes: number;
}

/** What is set up. */
export interface Deployment {
  readonly workers: number;
  /** Of each scorer. Engine workers: those on the cores, or GPUs */
  readonly cores: number;
  readonly decoders: number;
  readonly engines: number;
  readonly onGpu: boolean;
  readonly partitions: number;
  readonly shards: number;
  readonly segmentRecords: number;
  /** Candidate rows of an image that thresholds do not leave out */
  readonly candidates: number;
  readonly storeRequestsAS: number;
  readonly storeBytesAS: number;
  readonly brokerBytesAS: number;
  /** Whether images travel in their records; else they are fetched from the store */
  readonly inline: boolean;
}

export interface Station {
  readonly name: string;
  readonly servers: number;
  /** Seconds of one server an image */
  readonly demandS: number;
  /** Images a second that it can do */
  readonly mostAS: number;
  /** What adds to it */
  readonly add: string;
}

/** The stations in the order in which an image passes them. A scorer without a partition stands idle, and so does a top-K worker without a shard. */
export function stationsOf(costs: UnitCosts, at: Deployment): Station[] {
  const working = Math.min(at.workers, at.partitions);
  const segment = 1 / at.segmentRecords;
  const station = (name: string, servers: number, demandS: number, add: string): Station => ({
    name,
    servers,
    demandS,
    mostAS: demandS === 0 ? Infinity : servers / demandS,
    add,
  });
  const main = costs.archiveS + costs.segmentS * segment;
  const carried = (at.inline ? 2 * costs.imageBytes : 0) + 2 * costs.candidateBytes + RECORD_BYTES;
  const stored = costs.rowBytes * (1 + COMPACTION) + (at.inline ? 0 : costs.imageBytes);
  return [
    station("decoders", working * at.decoders, costs.decodeS, "decode.concurrency"),
    station("engines", working * at.engines, costs.scoreS, at.onGpu ? "GPUs" : "engine workers, or GPUs"),
    station(
      "cores",
      working * at.cores,
      costs.decodeS + main + (at.onGpu ? 0 : costs.scoreS),
      at.workers > at.partitions ? "partitions, and then scorers" : "scorers",
    ),
    station("main threads", working, main, at.workers > at.partitions ? "partitions, and then scorers" : "scorers"),
    station(
      "top-K workers",
      at.shards,
      costs.candidateS * at.candidates + costs.messageS * at.shards * segment,
      "larger segments; class shards help rows, not messages",
    ),
    station("publisher", 1, costs.followS * segment, "larger segments"),
    station(
      "store, requests",
      1,
      (OBJECTS_A_SEGMENT * segment) / at.storeRequestsAS,
      "larger segments, or more prefixes",
    ),
    station("store, bytes", 1, stored / at.storeBytesAS, "a store of more machines"),
    station("brokers, bytes", 1, carried / at.brokerBytesAS, "brokers"),
  ];
}

/** A record by reference, with its headers */
const RECORD_BYTES = 300;
/** Archived rows are read and written once more when they are compacted */
const COMPACTION = 2;
/** Segment, pack and a share of what checkpoints and claims take */
const OBJECTS_A_SEGMENT = 3;

export interface Prediction {
  readonly imagesAS: number;
  readonly limit: Station;
  /** Seconds that an image is on its way where they come at nine tenths of that rate */
  readonly lagS: number;
}

export function predict(costs: UnitCosts, at: Deployment): Prediction {
  return predictLine(stationsOf(costs, at));
}

export function predictLine(stations: readonly Station[]): Prediction {
  const limit = stations.reduce((least, one) => (one.mostAS < least.mostAS ? one : least));
  const imagesAS = limit.mostAS;
  const lagS = stations.reduce(
    (sum, { servers, demandS, mostAS }) => sum + demandS * (1 + waitingTimes(servers, (0.9 * imagesAS) / mostAS)),
    0,
  );
  return { imagesAS, limit, lagS };
}

/** How long what comes waits at a station of c servers that are busy to a share, in the times that it takes there. */
export function waitingTimes(servers: number, busy: number): number {
  if (busy >= 1) return Infinity;
  return busy ** (Math.sqrt(2 * (servers + 1)) - 1) / (servers * (1 - busy));
}

export interface Bend {
  readonly workers: number;
  readonly imagesAS: number;
  readonly limit: Station;
}

/** Where another station begins to limit, from one worker to the most. */
export function bends(costs: UnitCosts, at: (workers: number) => Deployment, counts: readonly number[]): Bend[] {
  const found: Bend[] = [];
  for (const workers of counts) {
    const { imagesAS, limit } = predict(costs, at(workers));
    if (found.at(-1)?.limit.name !== limit.name) found.push({ workers, imagesAS, limit });
  }
  return found;
}
