// The AWS SDK for JavaScript, version 3.

import { createReadStream, createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pipeline } from "node:stream/promises";

const require = createRequire(`${process.cwd()}/`);
const { GetObjectCommand, PutObjectCommand, S3Client } = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");

const PART = 8 * 1024 * 1024;
const { job, steps } = JSON.parse(readFileSync(0, "utf8"));

const config = {
  endpoint: job.endpoint,
  region: job.region,
  forcePathStyle: true,
  maxAttempts: 1,
  credentials: { accessKeyId: job.access_key, secretAccessKey: job.secret_key },
};
if (job.proxy) {
  const { HttpProxyAgent } = require("http-proxy-agent");
  const { NodeHttpHandler } = require("@smithy/node-http-handler");
  config.requestHandler = new NodeHttpHandler({ httpAgent: new HttpProxyAgent(job.proxy) });
  // The agent sends the head a second time, as part of the body, where it is to wait.
  config.expectContinueHeader = false;
}
const client = new S3Client(config);

const actions = {
  async get(Key, path) {
    const answer = await client.send(new GetObjectCommand({ Bucket: job.bucket, Key }));
    await pipeline(answer.Body, createWriteStream(path));
  },
  async ranges(Key, path, parts) {
    const pieces = await Promise.all(
      parts.map(async ([start, stop]) => {
        const Range = `bytes=${start}-${stop - 1}`;
        const answer = await client.send(new GetObjectCommand({ Bucket: job.bucket, Key, Range }));
        return answer.Body.transformToByteArray();
      }),
    );
    writeFileSync(path, Buffer.concat(pieces));
  },
  async put(path, Key) {
    await client.send(new PutObjectCommand({ Bucket: job.bucket, Key, Body: readFileSync(path) }));
  },
  async multipart(path, Key) {
    const Body = createReadStream(path);
    await new Upload({ client, params: { Bucket: job.bucket, Key, Body }, partSize: PART }).done();
  },
  async chunked(path, Key) {
    const Body = createReadStream(path);
    const ContentLength = readFileSync(path).length;
    await client.send(new PutObjectCommand({ Bucket: job.bucket, Key, Body, ContentLength }));
  },
};

for (const [name, ...parameters] of steps) await actions[name](...parameters);
console.log(require("@aws-sdk/client-s3/package.json").version);
