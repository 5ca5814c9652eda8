"""Programs that exist already work unchanged: the OpenAI SDK and huggingface_hub. Without them these are skipped."""
import pytest

from conftest import MODEL, cosine, golden_vectors


@pytest.fixture(scope="module")
def openai_client(server):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


def test_openai_embeddings(openai_client):
    golden = golden_vectors()[:16]
    reply = openai_client.embeddings.create(model=MODEL, input=[text for text, _, _ in golden])
    assert reply.usage.total_tokens == sum(len(ids) for _, ids, _ in golden)
    for item, (_, _, vector) in zip(reply.data, golden):
        assert cosine(item.embedding, vector) >= 0.99999


def test_openai_options(openai_client):
    short = openai_client.embeddings.create(model=MODEL, input="怎么退货", dimensions=8, user="me")
    assert len(short.data[0].embedding) == 8
    floats = openai_client.embeddings.create(model=MODEL, input="怎么退货", encoding_format="float")
    packed = openai_client.embeddings.create(model=MODEL, input="怎么退货")
    assert floats.data[0].embedding == pytest.approx(packed.data[0].embedding, abs=1e-7)
    ids = openai_client.embeddings.create(model=MODEL, input=golden_vectors()[0][1])
    assert cosine(ids.data[0].embedding, golden_vectors()[0][2]) >= 0.99999


def test_openai_models(openai_client):
    assert [model.id for model in openai_client.models.list()] == [MODEL, "tiny"]
    assert openai_client.models.retrieve("tiny").object == "model"


def test_openai_errors(openai_client):
    openai = pytest.importorskip("openai")
    with pytest.raises(openai.NotFoundError, match="gpt-4"):
        openai_client.embeddings.create(model="gpt-4", input="x")
    with pytest.raises(openai.BadRequestError, match="empty") as caught:
        openai_client.embeddings.create(model=MODEL, input="")
    assert caught.value.param == "input" and caught.value.type == "invalid_request_error"


def test_openai_key(launch):
    openai = pytest.importorskip("openai")
    server = launch("--api-key", "secret")
    with openai.OpenAI(base_url=server.url + "/v1", api_key="secret", max_retries=0) as client:
        assert client.embeddings.create(model=MODEL, input="x").data
    with openai.OpenAI(base_url=server.url + "/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            client.embeddings.create(model=MODEL, input="x")


def test_hugging_face_feature_extraction(server):
    hub = pytest.importorskip("huggingface_hub")
    pytest.importorskip("numpy")  # the client makes an array of the reply
    text, _, vector = golden_vectors()[0]
    for url in (server.url, server.url + "/embed"):
        reply = hub.InferenceClient(url).feature_extraction(text, normalize=True)
        assert cosine([float(x) for x in reply[0]], vector) >= 0.99999


def test_hugging_face_sentence_similarity(server):
    hub = pytest.importorskip("huggingface_hub")
    client = hub.InferenceClient(server.url + "/similarity")
    scores = client.sentence_similarity("怎么退货", other_sentences=["如何退货", "今天天气不错"])
    assert scores[0] > 0.8 > scores[1]
