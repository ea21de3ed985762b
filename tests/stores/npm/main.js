// Azurite's blob service over http and https at once: its own command serves one of them, and keeps its data to itself.
//
//   node main.js FOLDER-OF-NODE-MODULES HTTP-PORT HTTPS-PORT CERTIFICATE KEY
//
// The account is in AZURITE_ACCOUNTS, as its own command has it. Everything is in memory.
//
// One thing more: PUT /-/copies {"container", "name", "sizes": {NAME: SIZE}} takes the page blob of that name, which is
// empty, for as many as are asked for. One by one, each looks through all before: ten thousand take half a minute.
"use strict";
const fs = require("fs");
const https = require("https");
const { createRequire } = require("module");

const [folder, plain, secure, cert, key] = process.argv.slice(2);
const load = (name) => createRequire(`${folder}/`)(`azurite/dist/src/${name}`).default;
const Configuration = load("blob/BlobConfiguration");
const BlobServer = load("blob/BlobServer");

class InMemory extends Configuration {
  constructor() {
    super("127.0.0.1", Number(plain));
    this.enableAccessLog = false;
    this.skipApiVersionCheck = true; // clients are newer than any emulator
    this.isMemoryPersistence = true;
  }
}

const server = new BlobServer(new InMemory());
const azurite = server.httpServer.listeners("request")[0];

function copies({ container, name, sizes }) {
  const blobs = server.metadataStore.db.getCollection("$BLOBS_COLLECTION$");
  const model = JSON.stringify(blobs.findOne({ containerName: container, name }));
  blobs.chain().find({ containerName: container }).where((blob) => blob.name in sizes).remove();
  blobs.insert(Object.entries(sizes).map(([copy, contentLength]) => {
    const { $loki, meta, ...blob } = JSON.parse(model);
    for (const date of ["creationTime", "lastModified"]) blob.properties[date] = new Date(blob.properties[date]);
    return { ...blob, name: copy, properties: { ...blob.properties, contentLength } };
  }));
}

async function listener(request, response) {
  if (request.url !== "/-/copies") return azurite(request, response);
  let text = "";
  for await (const chunk of request) text += chunk;
  copies(JSON.parse(text));
  response.writeHead(201).end();
}

const tls = { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
server.httpServer.removeAllListeners("request");
server.httpServer.on("request", listener);
server.start().then(() => https.createServer(tls, azurite).listen(Number(secure), "127.0.0.1"));
