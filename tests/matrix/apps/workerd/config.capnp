using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "disk", disk = (path = "objects", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "dist/worker.js"),
    (name = "revkv.wasm", wasm = embed "node_modules/revkv/dist/revkv.wasm"),
  ],
  compatibilityDate = "2025-10-01",
  durableObjectNamespaces = [(className = "Visited", uniqueKey = "visited", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [(name = "VISITED", durableObjectNamespace = "Visited")],
);
