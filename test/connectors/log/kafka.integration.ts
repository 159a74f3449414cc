import { openKafkaLog } from "../../../connectors/log/kafka.js";
import { startKafka, type LocalKafka } from "../../../deploy/local/kafka.js";
import { logConformance } from "../../conformance/log.js";
import { cannotStart } from "../../deploy/local/require-service.js";

const skip = await cannotStart("kafka");
const conforming: { broker?: LocalKafka } = {};

logConformance({
  name: "kafka",
  skip,
  runs: 15,
  open: async () => {
    conforming.broker ??= await startKafka();
    return openKafkaLog({ brokers: [conforming.broker.address] });
  },
  afterwards: async () => conforming.broker?.stop(),
});
