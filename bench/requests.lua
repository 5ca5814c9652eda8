-- wrk -s requests.lua URL -- FILE: sends the lines of FILE as bodies, one after the other, and prints one line of JSON.
local bodies, at = {}, 0

function init(arguments)
   for line in io.lines(arguments[1]) do bodies[#bodies + 1] = line end
   wrk.method = "POST"
   wrk.headers["content-type"] = "application/json"
end

function request()
   at = at % #bodies + 1
   return wrk.format(nil, nil, nil, bodies[at])
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format('{"seconds": %.6f, "requests": %d, "failed": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
      summary.duration / 1e6, summary.requests,
      errors.status + errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
