from fastapi import APIRouter, HTTPException
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from app.database import SessionDep
from app.models import Product, ProductCreate, ProductPublic

router = APIRouter(prefix="/products", tags=["products"])


@router.post("", response_model=ProductPublic, status_code=201)
def create_product(product: ProductCreate, session: SessionDep):
    db_product = Product.model_validate(product)
    session.add(db_product)
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        raise HTTPException(409, "There is a product with this SKU already")
    session.refresh(db_product)
    return db_product


@router.get("", response_model=list[ProductPublic])
def list_products(session: SessionDep):
    return session.exec(select(Product).order_by(Product.sku)).all()


@router.get("/{sku}", response_model=ProductPublic)
def get_product(sku: str, session: SessionDep):
    product = session.exec(select(Product).where(Product.sku == sku)).first()
    if product is None:
        raise HTTPException(404, "No such product")
    return product
